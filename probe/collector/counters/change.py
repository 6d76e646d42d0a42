"""How a counter changes: over 72 hours, and by the minute. Pure; times in ms, readings oldest first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from probe.collector import instants
from probe.collector.counters.ledger import Reading

HOUR = 60 * instants.MINUTE
SPAN = 72 * HOUR
"""What the campaigners of 2016 counted over."""


class Change(msgspec.Struct, frozen=True):
    """From one reading to the newest. ``whole``: they lie as far apart as was asked for; else it is all there is."""

    then: Reading
    now: Reading
    whole: bool

    @property
    def by(self) -> int:
        """How many more (fewer, if negative)."""
        return self.now.value - self.then.value

    @property
    def share(self) -> float | None:
        """The same as a share of what it was; None where that was nothing."""
        return self.by / self.then.value if self.then.value else None

    @property
    def per_minute(self) -> float:
        """The same by the minute; 0 where no time lies between."""
        minutes = (self.now.at - self.then.at) / instants.MINUTE
        return self.by / minutes if minutes else 0.0

    @property
    def step(self) -> int:
        """What the page rounds to: a change of less than this says nothing."""
        return max(self.then.step, self.now.step)


def over(readings: Sequence[Reading], span: int) -> Change | None:
    """The change over so many ms: from the newest reading that is as old, or the oldest of all. None without any."""
    if not readings:
        return None
    now = readings[-1]
    before = bisect_right(readings, now.at - span, key=lambda reading: reading.at)
    return Change(readings[max(0, before - 1)], now, whole=before > 0)
