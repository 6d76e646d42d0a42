"""Outages: what fails for everybody is nobody's censorship."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from probe.collector.incidents.homes import WINDOW

Word = Literal["good", "bad", "down"]
Words = Mapping[str, Mapping[int, Word]]
"""Probe → hour → what it said of the target in that hour, the worst."""


def failing(hours: Iterable[int], inside: Words, outside: Words) -> frozenset[int]:
    """Those of some hours in which the target failed for everybody, or may have.

    It did if it failed for half of those who measured it outside (the control vantage, other countries), by their word
    before or after. Where nobody did, those inside tell: if as many found it down, for their own control too, as found
    it bad.
    """
    found = set()
    for hour in hours:
        there = _around(outside, hour)
        here = [near for near in _around(inside, hour) if near != {"good"}]
        failed = sum(near != {"good"} for near in there) if there else sum("down" in near for near in here)
        if 2 * failed >= len(there or here) > 0:
            found.add(hour)
    return frozenset(found)


def _around(words: Words, hour: int) -> list[set[Word]]:
    """Of each probe that was heard, its nearest words on either side of an hour, no more than a day away."""
    found = []
    for said in words.values():
        before = max((one for one in said if hour - WINDOW <= one <= hour), default=None)
        after = min((one for one in said if hour <= one <= hour + WINDOW), default=None)
        if near := {said[one] for one in (before, after) if one is not None}:
            found.append(near)
    return found
