"""How much each home's word weighs: independent homes count once, and those that were mostly alone count less."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from probe.collector.incidents.model import HOUR, Sight, Stance

WINDOW = 24 * HOUR
"""What a home saw in this time is its present word: a share of calls, or some hours of the day, is seen within it."""
STALE = 72 * HOUR
"""Where a home measures seldom, its last two results count, if they are no older than this."""
_TWICE = 2  # results that make a word: one alone may be anything

_PRIOR_FOR, _PRIOR = 4, 5  # a home nobody knows is believed as one that agreed four times of five


class Home:
    """One home's results in a series, hour by hour. Probes behind one public prefix are one home."""

    def __init__(self, sights: Iterable[Sight]) -> None:
        rows: dict[int, list[Sight]] = {}
        for sight in sights:
            rows.setdefault(sight.hour, []).append(sight)
        self.hours = sorted(hour for hour, some in rows.items() if any(s.good or s.bad for s in some))
        self.sights = {hour: rows[hour] for hour in self.hours}
        self.bad = [sum(s.bad for s in rows[hour]) for hour in self.hours]
        self.good = [sum(s.good for s in rows[hour]) for hour in self.hours]
        self.probes = tuple(sorted({s.probe for some in rows.values() for s in some}))

    def stance(self, hour: int) -> Stance | None:
        """What it says at the end of an hour; None if it has not measured lately."""
        end = bisect_right(self.hours, hour)
        begin = bisect_right(self.hours, hour - WINDOW)
        if end - begin < _TWICE:  # it measures seldom
            begin = max(0, min(begin, end - _TWICE))
            while begin < end and self.hours[begin] <= hour - STALE:
                begin += 1
        if begin == end:
            return None
        bad = sum(self.bad[begin:end])
        if bad == 0:
            return "good"
        return "bad" if bad >= _TWICE else "mixed"


def homes_of(sights: Iterable[Sight], prefix_of: Mapping[str, str]) -> dict[str, Home]:
    """Homes by name: the public prefix where it is known (``prefix_of``: probe → any name of it), else the probe."""
    apart: dict[str, list[Sight]] = {}
    for sight in sights:
        apart.setdefault(prefix_of.get(sight.probe, sight.probe), []).append(sight)
    return {name: Home(some) for name, some in sorted(apart.items())}


def weights(homes: Mapping[str, Home]) -> dict[str, float]:
    """Home → 0 … 1: how often it agreed with two thirds of three or more homes, squared, so that one that is wrong half
    of the time says a quarter. A function of the results alone, whatever the order in which they came."""
    agreed = dict.fromkeys(homes, 0)
    asked = dict.fromkeys(homes, 0)
    for hour in sorted({hour for home in homes.values() for hour in home.hours}):
        words = {name: stance for name, home in homes.items() if (stance := home.stance(hour)) is not None}
        for word in ("good", "bad"):
            if len(words) >= 3 and 3 * sum(said == word for said in words.values()) >= 2 * len(words):
                for name, said in words.items():
                    asked[name] += 1
                    agreed[name] += said == word
    return {name: ((agreed[name] + _PRIOR_FOR) / (asked[name] + _PRIOR)) ** 2 for name in homes}
