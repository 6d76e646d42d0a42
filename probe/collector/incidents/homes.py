"""How much each home's word weighs: independent homes count once, and those that were mostly alone count less."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from probe.collector.incidents.model import HOUR, Counted, Sight, Stance

WINDOW = 24 * HOUR
"""What a home saw in this time is its present word: a share of calls, or some hours of the day, is seen within it."""
STALE = 72 * HOUR
"""Where a home measures seldom, its last two results count, if they are no older than this."""
TOLD = 30 * 24 * HOUR
"""Probes that were behind one prefix at the same time, no longer ago than this, are of one home."""
BY_PREFIX = "~"
"""Begins the name of a home that was told apart by its prefix, or could have been: no probe's id does."""
_MANY = 3  # homes, of which one can differ
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
        self._bad_before = [0, *accumulate(self.bad)]
        self.good = [sum(s.good for s in rows[hour]) for hour in self.hours]
        self._good_before = [0, *accumulate(self.good)]
        self.memo: dict[Hashable, Any] = {}
        """What was worked out from it alone, by whoever did: a home never changes, there is another one then."""
        self.settled: dict[Hashable, tuple[int, Any]] = {}
        """The same of what follows from its first so many hours alone, with how many: the next one has it, too."""
        self.probes = tuple(sorted({s.probe for some in rows.values() for s in some}))

    def replaced(self, rows: Mapping[int, Sequence[Sight]]) -> Home:
        """Another one, that saw these hours so (hour → all its sights of it); what is older than they is not looked at
        again."""
        home, first = Home(()), len(self.hours)
        home.hours, home.bad, home.good, home.sights = [*self.hours], [*self.bad], [*self.good], {**self.sights}
        for hour, some in rows.items():
            at = bisect_left(home.hours, hour)
            there, first = slice(at, at + (home.hours[at : at + 1] == [hour])), min(first, at)
            bad, good = sum(s.bad for s in some), sum(s.good for s in some)
            told = bool(bad or good)
            home.hours[there] = [hour] * told
            home.bad[there], home.good[there] = [bad] * told, [good] * told
            home.sights.pop(hour, None)
            if told:
                home.sights[hour] = [*some]
        home._bad_before = [*self._bad_before[:first], *accumulate(home.bad[first:], initial=self._bad_before[first])]
        home._good_before = [
            *self._good_before[:first], *accumulate(home.good[first:], initial=self._good_before[first]),
        ]  # fmt: skip
        home.settled = {key: found for key, found in self.settled.items() if found[0] <= first}
        home.probes = tuple(sorted({*self.probes, *(s.probe for some in rows.values() for s in some)}))
        return home

    def tally(self, low: int, high: int) -> tuple[int, int]:
        """Bad and good results of its hours number ``low`` to ``high``."""
        return (
            self._bad_before[high] - self._bad_before[low], self._good_before[high] - self._good_before[low],
        )  # fmt: skip

    def stance(self, hour: int) -> Stance | None:
        """What it says at the end of an hour; None if it has not measured lately."""
        return self._between(bisect_right(self.hours, hour - WINDOW), bisect_right(self.hours, hour), hour)

    def stances(self, hours: Sequence[int]) -> list[Stance | None]:
        """The same for many hours, in order."""
        found, begin, end = list[Stance | None](), 0, 0
        for hour in hours:
            while end < len(self.hours) and self.hours[end] <= hour:
                end += 1
            while begin < end and self.hours[begin] <= hour - WINDOW:
                begin += 1
            found.append(self._between(begin, end, hour))
        return found

    def _between(self, begin: int, end: int, hour: int) -> Stance | None:
        if end - begin < _TWICE:  # it measures seldom
            begin = max(0, min(begin, end - _TWICE))
            while begin < end and self.hours[begin] <= hour - STALE:
                begin += 1
        if begin == end:
            return None
        bad = self._bad_before[end] - self._bad_before[begin]
        if bad == 0:
            return "good"
        return "bad" if bad >= _TWICE else "mixed"


def words_of(homes: Mapping[str, Home]) -> dict[int, dict[str, Stance]]:
    """Hour in which somebody measured → home → its word then."""
    hours = sorted({hour for home in homes.values() for hour in home.hours})
    words: dict[int, dict[str, Stance]] = {hour: {} for hour in hours}
    for name, home in homes.items():
        for hour, stance in zip(hours, home.stances(hours), strict=True):
            if stance is not None:
                words[hour][name] = stance
    return words


def homes_of(sights: Iterable[Sight], prefix_of: Mapping[str, str]) -> dict[str, Home]:
    """Homes by name: as :func:`together` says (``prefix_of``: probe → its home's name), else the probe's own."""
    apart: dict[str, list[Sight]] = {}
    for sight in sights:
        apart.setdefault(prefix_of.get(sight.probe, sight.probe), []).append(sight)
    return {name: Home(some) for name, some in sorted(apart.items())}


class Stay(msgspec.Struct, frozen=True):
    """A probe was behind a prefix (any name of it) from an instant on; ``until``: the next one's (both ms)."""

    probe: str
    prefix: str
    since: int
    until: int


def together(first: Mapping[str, int], stays: Iterable[Stay], *, own: bool = False) -> dict[str, str]:
    """Probe → its home's name. ``first``: the hour in which each probe first measured what is followed.

    A probe joins the home of one that began before it and that was behind its prefix at the same time, within a month
    before that hour; else it is a home of its own. So it stays one home wherever its address moves, and probes that
    showed two prefixes at once are two homes, though a pool hands both the same one later. Those without any stay are
    one home together, so that whoever hides from the broker's log gains nothing by numbers; with ``own``, each is its
    own. (Where the broker tells of nobody at all, nobody is told apart, and this is not asked.)
    """
    behind: dict[str, list[Stay]] = {}
    for stay in stays:
        behind.setdefault(stay.probe, []).append(stay)
    found: dict[str, str] = {}
    there: dict[str, list[Stay]] = {}  # prefix → stays of those that have a home by now
    for probe, hour in sorted(first.items(), key=lambda one: (one[1], one[0])):
        mine = [stay for stay in behind.get(probe, ()) if stay.since < hour + HOUR and stay.until > hour - TOLD]
        if not mine:
            found[probe] = probe if own else BY_PREFIX
            continue
        met = (
            found[other.probe] for stay in mine for other in there.get(stay.prefix, ())
            if max(stay.since, other.since, hour - TOLD) < min(stay.until, other.until, hour + HOUR)
        )  # fmt: skip
        found[probe] = min(met, default=BY_PREFIX + probe)
        for stay in behind[probe]:
            there.setdefault(stay.prefix, []).append(stay)
    return found


def counted(names: Iterable[str]) -> Counted:
    """How homes of these names were told apart."""
    known = [name.startswith(BY_PREFIX) for name in names]
    return "probe" if not any(known) else "prefix" if all(known) else "mixed"


def agreement(said: Mapping[str, Stance]) -> tuple[Iterable[str], list[str]]:
    """Who was asked in one hour and who agreed, if two thirds of three homes or more did; else nobody."""
    if len(said) >= _MANY:
        for word in ("good", "bad"):
            with_it = [name for name, what in said.items() if what == word]
            if 3 * len(with_it) >= 2 * len(said):
                return said.keys(), with_it
    return (), []


def weight_of(agreed: int, asked: int) -> float:
    """Of one home: how often it agreed, of the times that it was asked."""
    return ((agreed + _PRIOR_FOR) / (asked + _PRIOR)) ** 2


def weights(words: Mapping[int, Mapping[str, Stance]]) -> dict[str, float]:
    """Home → 0 … 1: how often it agreed with two thirds of three or more homes, squared, so that one that is wrong half
    of the time says a quarter. A function of the results alone, whatever the order in which they came."""
    agreed, asked = Counter[str](), Counter[str]()
    for said in words.values():
        everyone, with_it = agreement(said)
        asked.update(everyone)
        agreed.update(with_it)
    homes = {name for said in words.values() for name in said}
    return {name: weight_of(agreed[name], asked[name]) for name in sorted(homes)}
