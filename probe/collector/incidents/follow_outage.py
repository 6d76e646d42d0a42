"""A target that is followed: the hours in which it failed for everybody, told anew around the hours that changed.

The same as :func:`~probe.collector.incidents.retold.failing_hours` of all rows, in whatever order and portions they
came. Whether an hour failed is told by what was said within a day of it (`outage.Said`), so a result moves the answers
of two days. Results are only ever added to a roll-up: the worst of an hour never gets better.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Mapping

from probe.collector.incidents.homes import WINDOW
from probe.collector.incidents.outage import WORDS, Said, fails

Who = tuple[bool, str]
"""(of the control vantage or another country, probe or home)."""


class FollowOutage:
    """One target, as one country has it. ``control``: probes of the control vantage; ``size``: how many hours of
    probes it holds, at some 150 bytes each."""

    def __init__(self, country: str, control: Collection[str]) -> None:
        self.size = 0
        self.first: dict[str, int] = {}
        """Probe → the first hour in which it measured; those of the control vantage are no homes."""
        self._country, self._control = country, frozenset(control)
        self._worst: dict[Who, dict[int, int]] = {}  # by probe
        self._new: set[tuple[Who, int]] = set()  # that were not looked at yet
        self._begin({})

    def _begin(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self._said: dict[Who, tuple[dict[int, int], Said]] = {}  # by home
        self._bad: list[int] = []  # hours in which it was bad in the country, in order
        self._failing: set[int] = set()
        self._new = {(who, hour) for who, hours in self._worst.items() for hour in hours}

    def see(self, rows: Iterable[tuple[str, int, str, int]]) -> None:
        """Rows as `retold.failing_hours` has them: new, or in place of older ones of the same probe and hour."""
        for country, hour, probe, worst in rows:
            controls = probe in self._control
            who = controls or country != self._country, probe
            hours = self._worst.setdefault(who, {})
            if hours.get(hour, -1) >= worst:
                continue
            self.size += hour not in hours
            hours[hour] = worst
            self._new.add((who, hour))
            if not controls:
                self.first[probe] = min(hour, self.first.get(probe, hour))

    def failing(self, home_of: Mapping[str, str]) -> frozenset[int]:
        """The hours. ``home_of``: probe → its home, whose probes have one word together, the worst."""
        names = {probe: home_of.get(probe, probe) for probe in self.first}
        if any(self._names.get(probe, name) != name for probe, name in names.items()):
            self._begin(names)  # homes were told apart otherwise
        self._names = names
        turned = self._look()
        within = [said for (outside, _), (_, said) in self._said.items() if not outside]
        beyond = [said for (outside, _), (_, said) in self._said.items() if outside]
        for hour in turned:
            if fails(hour, within, beyond):
                self._failing.add(hour)
            else:
                self._failing.discard(hour)
        return frozenset(self._failing)

    def _look(self) -> set[int]:
        """Take what is new into account; the bad hours that it may have turned."""
        changed = set()
        for (outside, probe), hour in self._new:
            home = probe if probe in self._control else self._names[probe]
            worst, said = self._said.setdefault((outside, home), ({}, Said({})))
            word = max(worst.get(hour, 0), self._worst[outside, probe][hour])
            if not outside and WORDS[word] == "bad" and WORDS[worst.get(hour, 0)] != "bad":
                at = bisect_left(self._bad, hour)
                if self._bad[at : at + 1] != [hour]:
                    insort(self._bad, hour)
            worst[hour] = word
            if said.hear(hour, WORDS[word]):
                changed.add(hour)
        self._new = set()
        return {
            bad for hour in changed
            for bad in self._bad[bisect_left(self._bad, hour - WINDOW) : bisect_right(self._bad, hour + WINDOW)]
        }  # fmt: skip
