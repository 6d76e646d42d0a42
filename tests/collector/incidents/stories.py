"""Histories in simulated time: homes that measure at their own minutes, what happens to them, and who lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Literal

from probe.collector.incidents.model import HOUR, Series, Sight

DAY = 24 * HOUR
Result = Literal["good", "bad", "down", ""]
World = Callable[[int], Result]
"""What an honest home finds at a time (ms); "" is nothing (it is off, or inconclusive)."""

SERIES = Series("DZ", "AS36947", "fixed", "blackhole", "196.20.66.10", "ip_blackhole")


def at(text: str) -> int:
    """``2019-07-01`` or ``2019-07-01T12:00`` in ms, UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def sights_of(probe: str, results: Iterable[tuple[int, Result]]) -> list[Sight]:
    """The roll-up of one probe's results, as the store makes it."""
    hours: dict[int, dict[str, list[int]]] = {}
    for when, result in results:
        if result:
            hours.setdefault(when // HOUR * HOUR, {}).setdefault(result, []).append(when)
    return [
        Sight(
            probe, hour, good=len(some.get("good", ())), bad=len(some.get("bad", ())), down=len(some.get("down", ())),
            first_good=min(some.get("good", [0])), last_good=max(some.get("good", [0])),
            first_bad=min(some.get("bad", [0])), last_bad=max(some.get("bad", [0])),
        )
        for hour, some in sorted(hours.items())
    ]  # fmt: skip


@dataclass
class Story:
    """``homes`` homes measure every ``period`` ms, each at its own minute and a little unevenly, from ``start`` to
    ``end``; the first ``liars`` of them lie, by turns: always bad, always good, by chance, only now and then.
    """

    world: World
    start: int
    end: int
    homes: int = 10
    period: int = HOUR
    liars: int = 0
    seed: int = 1
    miss: float = 0.03

    def results(self, number: int) -> list[tuple[int, Result]]:
        """What one home found, in order."""
        random = Random(self.seed * 1000 + number)
        now, found = self.start + random.randrange(self.period), list[tuple[int, Result]]()
        while now < self.end:
            if random.random() >= self.miss:
                found.append((now, self._lie(number, now, random) if number < self.liars else self.world(now)))
            now += self.period + random.randrange(-self.period // 20, self.period // 20 + 1)
        return found

    def _lie(self, number: int, now: int, random: Random) -> Result:
        kind = number % 4
        if kind == 0:
            return "bad"
        if kind == 1:
            return "good"
        if kind == 2:
            return random.choice(("good", "bad"))
        return "bad" if now // DAY % 7 == 3 else self.world(now)

    def sights(self) -> list[Sight]:
        """The roll-up of all homes."""
        return [sight for i in range(self.homes) for sight in sights_of(f"home{i}", self.results(i))]


def cut(*spans: tuple[str, str]) -> World:
    """Bad within the spans, good without."""
    times = [(at(a), at(b)) for a, b in spans]
    return lambda now: "bad" if any(a <= now < b for a, b in times) else "good"
