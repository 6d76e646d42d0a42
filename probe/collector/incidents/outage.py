"""Outages: what fails for everybody is nobody's censorship."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import Literal

from probe.collector.incidents.homes import WINDOW

Word = Literal["good", "bad", "down"]
WORDS: tuple[Word, ...] = ("good", "down", "bad")
"""By how bad they are: what a number in the rows of a roll-up stands for."""
Words = Mapping[str, Mapping[int, Word]]
"""Home, or probe of the control vantage → hour → what it said of the target in that hour, the worst."""


def failing(hours: Iterable[int], inside: Words, outside: Words) -> frozenset[int]:
    """Those of some hours in which the target failed for everybody, or may have.

    It did if it failed for half of those who measured it outside (the control vantage, other countries), by their word
    before or after. Where nobody did, those inside tell: if as many found it down, for their own control too, as found
    it bad.
    """
    beyond, within = [Said(said) for said in outside.values()], [Said(said) for said in inside.values()]
    return frozenset(hour for hour in hours if fails(hour, within, beyond))


class Said:
    """What one of them said of the target, hour by hour."""

    def __init__(self, words: Mapping[int, Word]) -> None:
        self._words, self._hours = dict(words), sorted(words)

    def hear(self, hour: int, word: Word) -> bool:
        """It says so now; whether that is new."""
        known = self._words.get(hour)
        if known is None:
            insort(self._hours, hour)
        self._words[hour] = word
        return known != word

    def around(self, hour: int) -> set[Word]:
        """Its nearest words on either side of an hour, no more than a day away."""
        after = bisect_left(self._hours, hour)
        before = bisect_right(self._hours, hour) - 1
        near = [self._hours[i] for i in (before, after) if 0 <= i < len(self._hours)]
        return {self._words[one] for one in near if abs(one - hour) <= WINDOW}


def fails(hour: int, within: Iterable[Said], beyond: Iterable[Said]) -> bool:
    """The rule of :func:`failing`, for one hour in which it was bad."""
    there = [near for said in beyond if (near := said.around(hour))]
    here = [near for said in within if (near := said.around(hour)) - {"good"}]
    failed = sum(near != {"good"} for near in there) if there else sum("down" in near for near in here)
    return 2 * failed >= len(there or here) > 0
