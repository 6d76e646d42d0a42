"""Waiting for the budget: one turn after another, for each address and then for the line."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from probe.engine.budget import Budget

_ROOM = 0.05  # seconds between two looks for a stream's room


class Pace:
    """Lets packets leave as the budget allows, in the order of asking; shared by all runs of one event loop.

    Packets are taken from the budget at the very moment they may leave, for the address and for the line at once, so
    that a slow target neither holds up the others nor leaves a burst behind.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._line = asyncio.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def allow(self, address: str, packets: int, octets: int) -> None:
        """Return when ``packets`` packets of ``octets`` bytes in all may leave towards ``address``.

        Raises BudgetExhausted when the day's bytes are used up.
        """
        turn = self._turns.get(address) or self._turns.setdefault(address, asyncio.Lock())
        async with turn:
            while delay := self._budget.wait(address, packets, time.monotonic()):  # noqa: ASYNC110 - only time mends it
                await asyncio.sleep(delay)
            async with self._line:
                while delay := self._take(address, packets, octets):  # noqa: ASYNC110
                    await asyncio.sleep(delay)

    @property
    def turn(self) -> asyncio.Lock:
        """The line's packets, for who takes them from the budget by himself (:mod:`probe.engine.bulk`): to be held for
        a moment."""
        return self._line

    @property
    def budget(self) -> Budget:
        """The budget itself, for who takes a :meth:`turn`."""
        return self._budget

    def _take(self, address: str, packets: int, octets: int) -> float:
        return self._budget.take(address, packets, octets, time.monotonic(), _today())

    def carries(self, address: str, per_second: int) -> bool:
        """Whether the budget allows a steady stream of so many packets a second."""
        return self._budget.carries(address, per_second, time.monotonic())

    @contextlib.asynccontextmanager
    async def reserved(self, address: str, per_second: int, octets: int) -> AsyncIterator[None]:
        """Wait for room for a steady stream, then keep it until the end; its bytes are taken at once.

        Whoever asks has seen that the budget :meth:`carries` it. Raises BudgetExhausted as :meth:`allow` does.
        """
        while not self._budget.reserve(address, per_second, octets, time.monotonic(), _today()):  # noqa: ASYNC110
            await asyncio.sleep(_ROOM)
        try:
            yield
        finally:
            self._budget.release(address, per_second, time.monotonic())

    def give_back(self, octets: int) -> None:
        """Bytes that were taken today and then not sent."""
        self._budget.give_back(octets, _today())

    def spend(self, address: str, packets: int, octets: int) -> None:
        """Count what has left without asking: later packets wait for it."""
        self._budget.spend(address, packets, octets, time.monotonic(), _today())

    def flush(self) -> None:
        """Keep the day's count. Raises what the budget's ``save`` raises."""
        self._budget.flush()


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()
