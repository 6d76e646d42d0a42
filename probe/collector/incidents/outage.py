"""Outages: what fails for everybody is nobody's censorship."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Literal

from probe.collector.incidents.homes import WINDOW

Word = Literal["good", "bad", "down"]
Words = Mapping[str, Mapping[int, Word]]
"""Home, or probe of the control vantage → hour → what it said of the target in that hour, the worst."""


def failing(hours: Iterable[int], inside: Words, outside: Words) -> frozenset[int]:
    """Those of some hours in which the target failed for everybody, or may have.

    It did if it failed for half of those who measured it outside (the control vantage, other countries), by their word
    before or after. Where nobody did, those inside tell: if as many found it down, for their own control too, as found
    it bad.
    """
    found = set()
    beyond, within = [_Said(said) for said in outside.values()], [_Said(said) for said in inside.values()]
    for hour in hours:
        there = [near for said in beyond if (near := said.around(hour))]
        here = [near for said in within if (near := said.around(hour)) - {"good"}]
        failed = sum(near != {"good"} for near in there) if there else sum("down" in near for near in here)
        if 2 * failed >= len(there or here) > 0:
            found.add(hour)
    return frozenset(found)


class _Said:
    """A probe's words in order."""

    def __init__(self, words: Mapping[int, Word]) -> None:
        self._words, self._hours = words, sorted(words)

    def around(self, hour: int) -> set[Word]:
        """Its nearest words on either side of an hour, no more than a day away."""
        after = bisect_left(self._hours, hour)
        before = bisect_right(self._hours, hour) - 1
        near = [self._hours[i] for i in (before, after) if 0 <= i < len(self._hours)]
        return {self._words[one] for one in near if abs(one - hour) <= WINDOW}
