"""The guard and the budget for packets by the thousand: each is asked for, together they are asked for at once."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

from probe.engine.budget import Budget, Rate, Row
from probe.engine.guard import Guard

T = TypeVar("T")
PORTION = 500
"""Addresses that are prepared before others have their turn: a few milliseconds, twenty times as many on a board."""


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """All of them, so many at a time."""
    for at in range(0, len(items), PORTION):
        yield items[at : at + PORTION]


class Gate:
    """Lets through what may leave. ``clock``: seconds, monotonic; ``today``: the UTC date."""

    def __init__(
        self, guard: Guard, budget: Budget, clock: Callable[[], float] = time.monotonic,
        today: Callable[[], str] = lambda: dt.datetime.now(dt.UTC).date().isoformat(),
    ) -> None:  # fmt: skip
        self._guard, self._budget, self._clock, self._today = guard, budget, clock, today

    def admit(self, addresses: Sequence[str]) -> Row:
        """Each address's own allowance, for :meth:`take`; to be held for as long as it is used. Raises
        ForbiddenDestination, UsageError for one that may not be measured: then none of them is."""
        for address in addresses:
            self._guard.check(address)
        return self._budget.rates(addresses, self._clock())

    def admit_many(self, addresses: Sequence[str]) -> Generator[float, None, Row]:
        """As :meth:`admit`, for thousands: yields 0.0 where others may have their turn."""
        for some in portions(addresses):
            for address in some:
                self._guard.check(address)
            yield 0.0
        row = self.admit(())
        for some in portions(addresses):
            self._budget.rates(some, self._clock(), row)
            yield 0.0
        return row

    def take(self, rates: Sequence[Rate], octets: int) -> tuple[int, float]:
        """How many packets, one to each of ``rates`` in this order, may leave now, and in how many seconds the next
        may. What may is taken from the budget. Raises BudgetExhausted when the day's bytes are used up."""
        return self._budget.take_row(rates, octets, self._clock(), self._today())

    def spend(self, rate: Rate, packets: int, octets: int) -> None:
        """Count what the kernel has sent by itself."""
        self._budget.spend_on(rate, packets, octets, self._clock(), self._today())
