"""A series that is followed: its incidents, told anew from the hours that changed and not from all that there is.

The same as :func:`~probe.collector.incidents.timeline.incidents` of all its sights, in whatever order and portions they
came. What a home says at an hour follows from the three days before it (`homes.STALE`), so a result moves the words of
three days; weights are counts, from which the words that change are taken out before and put in after; and what a home
has to say of an incident is remembered until it says something new.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from probe.collector.incidents.homes import STALE, Home, agreement, weight_of
from probe.collector.incidents.model import HOUR, Incident, Series, Sight, Stance
from probe.collector.incidents.timeline import OUTAGE_LIKE, near, read, void


class Follow:
    """One series. ``size``: how many sights it holds, at some 500 bytes each."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.size = 0
        self.first: dict[str, int] = {}
        """Probe → the first hour in which it saw the series."""
        self.last = 0
        """The last hour in which anybody did."""
        self._sights: dict[str, dict[int, Sight]] = {}  # probe → hour → as it is stored
        self._new: set[tuple[str, int]] = set()  # (probe, hour) that were not looked at yet
        self._failing: AbstractSet[int] = frozenset()
        self._begin({})

    def _begin(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self._probes: dict[str, list[str]] = {}  # home → probes
        self._homes: dict[str, Home] = {}
        self._measured: Counter[int] = Counter()  # hour → homes that measured in it
        self._eventful: Counter[int] = Counter()  # hour → homes that found it bad
        self._hours: list[int] = []  # in which anybody measured, in order
        self._words: dict[int, dict[str, Stance]] = {}
        self._asked: Counter[str] = Counter()
        self._agreed: Counter[str] = Counter()
        self._new = {(probe, hour) for probe, hours in self._sights.items() for hour in hours}

    def see(self, sights: Iterable[Sight]) -> None:
        """These are new, or stand in place of older ones of the same probe and hour."""
        for sight in sights:
            hours = self._sights.setdefault(sight.probe, {})
            if hours.get(sight.hour) == sight:
                continue
            self.size += sight.hour not in hours
            hours[sight.hour] = sight
            self.last = max(self.last, sight.hour)
            self.first[sight.probe] = min(sight.hour, self.first.get(sight.probe, sight.hour))
            self._new.add((sight.probe, sight.hour))

    def incidents(self, *, now: int, failing: AbstractSet[int], prefix_of: Mapping[str, str]) -> list[Incident]:
        """All of them, oldest first; arguments as `timeline.incidents` has them."""
        names = {probe: prefix_of.get(probe, probe) for probe in self._sights}
        if any(self._names.get(probe, name) != name for probe, name in names.items()):
            self._begin(names)  # homes were told apart otherwise: another story
        self._names = names
        if self.series.technique in OUTAGE_LIKE and failing != self._failing:
            turned = {hour + near_by for hour in failing ^ self._failing for near_by in (-HOUR, 0, HOUR)}
            self._new |= {(probe, hour) for probe, hours in self._sights.items() for hour in turned & hours.keys()}
            self._failing = failing
        self._look()
        ordered = {name: self._homes[name] for name in sorted(self._homes)}
        heard = sorted({name for name, home in ordered.items() if home.hours})
        weight = {name: weight_of(self._agreed[name], self._asked[name]) for name in heard}
        words = {hour: self._words[hour] for hour in self._hours}
        return read(self.series, ordered, words, weight, self._eventful, now)

    def _look(self) -> None:
        """Take what is new into account."""
        touched: dict[str, set[int]] = {}
        for probe, hour in self._new:
            name = self._names[probe]
            if probe not in (some := self._probes.setdefault(name, [])):
                some.append(probe)
            touched.setdefault(name, set()).add(hour)
        self._new = set()
        came: set[int] = set()
        for name, hours in touched.items():
            came |= self._meet(name, hours)
        stale: dict[int, set[str]] = {hour: set(self._homes) for hour in came}
        for name, hours in touched.items():
            for hour in sorted(hours):
                for i in range(bisect_left(self._hours, hour), len(self._hours)):
                    if self._hours[i] >= hour + STALE:
                        break
                    stale.setdefault(self._hours[i], set()).add(name)
        for hour, names in stale.items():
            self._hear(hour, names)

    def _meet(self, name: str, hours: AbstractSet[int]) -> set[int]:
        """A home with what is new of it. Returns the hours in which nobody had measured before."""
        old = self._homes.get(name)
        mine = [self._sights[probe] for probe in self._probes[name]]
        rows: dict[int, list[Sight]] = {}
        for hour in sorted(hours):
            outage = near(hour, self._failing)
            some = [sights[hour] for sights in mine if hour in sights]
            rows[hour] = [void(sight) for sight in some] if outage else some
        # All that there is of a home is new when it is met first.
        home = self._homes[name] = (old or Home(())).replaced(rows)
        came = set()
        for hour in hours:
            before = _result(old, hour) if old is not None else None
            after = _result(home, hour)
            self._eventful[hour] += bool(after) - bool(before)
            if not self._eventful[hour]:
                del self._eventful[hour]
            self._measured[hour] += (after is not None) - (before is not None)
            if not self._measured[hour]:
                del self._measured[hour]
                if hour in self._words:
                    self._unhear(hour)
                    del self._hours[bisect_left(self._hours, hour)]
            elif hour not in self._words:
                insort(self._hours, hour)
                self._words[hour] = {}
                came.add(hour)
        return came

    def _hear(self, hour: int, names: AbstractSet[str]) -> None:
        """What these homes say at an hour in which somebody measured."""
        if hour not in self._words:
            return
        said = self._unhear(hour)
        added = False
        for name in names:
            stance = self._homes[name].stance(hour)
            if stance is None:
                said.pop(name, None)
            else:
                added = added or name not in said
                said[name] = stance
        # Their order is that of their names: sums of weights come out the same, to the last bit.
        self._words[hour] = {name: said[name] for name in sorted(said)} if added else said
        everyone, with_it = agreement(said)
        self._asked.update(everyone)
        self._agreed.update(with_it)

    def _unhear(self, hour: int) -> dict[str, Stance]:
        said = self._words.pop(hour)
        everyone, with_it = agreement(said)
        self._asked.subtract(everyone)
        self._agreed.subtract(with_it)
        return said


def _result(home: Home, hour: int) -> int | None:
    """How many bad results a home has in an hour; None if it has neither bad nor good ones."""
    i = bisect_left(home.hours, hour)
    return home.bad[i] if i < len(home.hours) and home.hours[i] == hour else None
