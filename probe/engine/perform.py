"""Performs one batch of steps with real sockets, all side by side in one event loop.

Packets leave through the kernel's own sockets wherever those can do it (UDP with a TTL for each datagram, handshakes
by connect(2)); raw sockets send only what has no socket: bare SYNs, path probes of an open flow, ICMP echoes. What is
heard comes from the passive capture alone. No firewall rule is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

import msgspec

from probe.engine import sockets
from probe.engine.bench import Bench
from probe.engine.connections import connect
from probe.engine.datagrams import UNIT, probe
from probe.engine.intake import Intake
from probe.engine.observe import observe, transport
from probe.engine.sessions import session
from probe.engine.streaming import stream
from probe.engine.transfers import transfer
from probe.model.errors import UsageError
from probe.model.exchange import (
    Exchange,
    ListenStep,
    PauseStep,
    Step,
    StreamStep,
    TcpStep,
    TlsStep,
    TransferStep,
    UdpStep,
)
from probe.model.outcome import Entry

Log = Callable[[Entry], None]


class Performer:
    """Performs the steps of one run. Use as an async context manager; ``intake`` is what it heard."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._asked: dict[UdpStep, Entry] = {}

    @property
    def intake(self) -> Intake:
        """What was heard so far."""
        return self._bench.intake

    async def __aenter__(self) -> Self:
        self._bench.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bench.close()

    async def perform(self, batch: list[Step], log: Log) -> list[Exchange]:
        """Perform the steps side by side; the exchanges come in the steps' order.

        Raises UsageError, ForbiddenDestination, NoRoute and NoPermission before anything of the batch is sent;
        BudgetExhausted when the day's bytes do not suffice for one of the steps (the others are broken off).
        """
        for step in batch:
            if not isinstance(step, PauseStep):
                self._bench.guard.check(step.address)
                self._bench.route(step.address)
            if isinstance(step, ListenStep) and step.of not in self._asked:
                raise UsageError(f"nothing was asked of {step.address} yet that could be listened for")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._step(step)) for step in batch]
        except ExceptionGroup as together:
            raise together.exceptions[0] from None
        exchanges: list[Exchange] = []
        for step, task in zip(batch, tasks, strict=True):
            entry = task.result()
            log(entry)
            if isinstance(step, UdpStep):
                self._asked[step] = entry
            exchanges.append(observe(entry, self.intake.of((transport(step), entry.port))))
        return exchanges

    async def _step(self, step: Step) -> Entry:
        bench = self._bench
        began = bench.timeline.now()
        try:
            if isinstance(step, PauseStep):
                await asyncio.sleep(step.seconds)
                return bench.done(step, 0, began)
            if isinstance(step, ListenStep):
                return await self._listen(step)
            if isinstance(step, TcpStep):
                return await connect(bench, step)
            if isinstance(step, StreamStep):
                return await stream(bench, step)
            if isinstance(step, TlsStep):
                return await session(bench, step)
            if isinstance(step, TransferStep):
                return await transfer(bench, step)
            return await probe(bench, step)
        except OSError as error:
            # No descriptors left, the interface gone: trouble of this machine, which a finding can tell.
            return bench.done(step, 0, began, "error", sockets.explain(error))

    async def _listen(self, step: ListenStep) -> Entry:
        first, timeline = self._asked[step.of], self._bench.timeline
        await asyncio.sleep(max(0.0, step.seconds - (timeline.now() - first.began) / 1e9))
        self.intake.drain()
        ended = max(first.ended, timeline.now())
        return msgspec.structs.replace(first, step=step, ended=ended + -ended % UNIT)
