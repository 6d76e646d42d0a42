"""When it began and when it ended: after the last result that said otherwise, until the first that said so.

Homes that lie or are broken must not move the ends, so that a quarter of all that were heard (by weight) is left out on
the far side: one home that had been saying so for a week does not date the incident.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

from probe.collector.incidents.homes import STALE, WINDOW, Home
from probe.collector.incidents.model import Bounds

TRIM = 0.25


def run_start(home: Home, hour: int) -> tuple[int, int]:
    """(first bad, last good before it) of the run that a home is in at an hour; the good one 0 where there is none."""
    if ("start", hour) in home.settled:
        return home.settled["start", hour][1]  # type: ignore[no-any-return]
    at = [i for i, when in enumerate(home.hours) if when <= hour and home.bad[i]]
    first = at[-1]
    for i in reversed(at[:-1]):
        # Two results of one home are of one run if no more than a day lies between them, or nothing but them.
        if home.hours[first] - home.hours[i] > (WINDOW if first - i > 1 else STALE):
            break
        first = i
    begun = min(s.first_bad for s in home.sights[home.hours[first]] if s.bad)
    goods = [
        t for i in range(first + 1) for s in home.sights[home.hours[i]] for t in (s.first_good, s.last_good)
        if 0 < t < begun
    ]  # fmt: skip
    found = begun, max(goods, default=0)
    # And one more: what comes before that one may be of that hour or older.
    home.settled["start", hour] = bisect_right(home.hours, hour) + 1, found
    return found


def run_end(home: Home, hour: int) -> tuple[int, int]:
    """(last bad, first good after it) before the end of an hour; 0 where there is none."""
    if ("end", hour) in home.memo:
        return home.memo["end", hour]  # type: ignore[no-any-return]
    at = [i for i, when in enumerate(home.hours) if when <= hour and home.bad[i]]
    last = max(s.last_bad for s in home.sights[home.hours[at[-1]]] if s.bad)
    goods = [
        t for i in range(at[-1], len(home.hours)) for s in home.sights[home.hours[i]]
        for t in (s.first_good, s.last_good) if t > last
    ]  # fmt: skip
    found = home.memo["end", hour] = last, min(goods, default=0)
    return found


def began(homes: Mapping[str, Home], weight: Mapping[str, float], hour: int) -> Bounds:
    """(last good, first bad], by the homes that say so at the hour in which it was opened."""
    words = {name: word for name, home in homes.items() if (word := home.stance(hour)) is not None}
    runs = sorted((*run_start(homes[name], hour), weight[name]) for name, word in words.items() if word == "bad")
    until = _at_share([(first, much) for first, _, much in runs], sum(weight[name] for name in words))
    return Bounds(max((good for _, good, _ in runs if good < until), default=0), until)


def ended(homes: Mapping[str, Home], weight: Mapping[str, float], since: int, hour: int) -> Bounds:
    """[last bad, first good), by the homes that saw it since an hour and say at its end that it works.

    Where none of them says anything any more, it is others that found it to work: then it ended after the last bad
    result of all.
    """
    words = {name: word for name, home in homes.items() if (word := home.stance(hour)) is not None}
    turned = [name for name, word in words.items() if word == "good" and _bad_since(homes[name], since, hour)]
    if not turned:
        after = max(run_end(home, hour)[0] for home in homes.values() if _bad_since(home, since, hour))
        return Bounds(after, min((t for name in words for t in _goods(homes[name]) if t > after), default=0))
    runs = sorted((*run_end(homes[name], hour), weight[name]) for name in turned)
    after = -_at_share([(-last, much) for last, _, much in reversed(runs)], sum(weight[name] for name in words))
    return Bounds(after, min((good for _, good, _ in runs if good > after), default=0))


def _bad_since(home: Home, since: int, hour: int) -> bool:
    return home.tally(bisect_left(home.hours, since), bisect_right(home.hours, hour))[0] > 0


def _goods(home: Home) -> Iterable[int]:
    return (t for hour in home.hours for s in home.sights[hour] for t in (s.first_good, s.last_good) if t)


def _at_share(times: list[tuple[int, float]], total: float) -> int:
    """The first of these at which more than a quarter of the total weight has come."""
    so_far = 0.0
    for time, much in times:
        so_far += much
        if so_far > TRIM * total:
            return time
    return times[-1][0]
