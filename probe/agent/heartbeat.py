"""Makes a sign of life every five minutes, whatever the line does: what it proves is the silence of the others."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import msgspec

from probe.agent.findings import instant, uuid7
from probe.engine.clock import synchronised as kernel_says
from probe.model.finding import Name, Token
from probe.model.heartbeat import Heartbeat, Link

EVERY = 300.0
"""Seconds between two."""


class Vitals(msgspec.Struct, frozen=True):
    """How the daemon is at a moment. ``measured`` and ``failed``: since its start."""

    measured: int
    failed: int
    spool_depth: int
    link: Link
    connected: bool


class Pulse:
    """The heartbeats of one start of the daemon; :meth:`run` is its task.

    ``take`` is handed each one, unsigned, with the monotonic time of its making (``clock``, seconds).
    """

    def __init__(
        self,
        probe: Token,
        software: Name,
        vitals: Callable[[], Vitals],
        take: Callable[[Heartbeat, float], None],
        *,
        every: float = EVERY,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        synchronised: Callable[[], bool] = kernel_says,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._probe, self._software, self._vitals, self._take = probe, software, vitals, take
        self._every, self._wall, self._clock, self._synchronised = every, wall, clock, synchronised
        self._entropy = entropy
        self._run = entropy(8).hex()
        self._began = clock()
        self._sequence = 0
        self._before = (0, 0)

    async def run(self) -> None:
        """One at once, then one every so many seconds, until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(self._every)

    def beat(self) -> None:
        """Make one now."""
        now, made, vitals = self._wall(), self._clock(), self._vitals()
        heartbeat = Heartbeat(
            id=uuid7(now, self._entropy),
            probe=self._probe,
            software=self._software,
            run=self._run,
            sequence=self._sequence,
            at=instant(now),
            clock="synchronised" if self._synchronised() else "unsynchronised",
            uptime_s=int(made - self._began),
            measured=vitals.measured - self._before[0],
            failed=vitals.failed - self._before[1],
            spool_depth=vitals.spool_depth,
            link=vitals.link,
            connected=vitals.connected,
        )
        self._sequence += 1
        self._before = vitals.measured, vitals.failed
        self._take(heartbeat, made)
