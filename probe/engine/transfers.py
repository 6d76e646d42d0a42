"""Bulk transfers over TCP, timed: how many bytes were acknowledged, how many came, every so often.

The budget holds here too: what is uploaded leaves as fast as its segments may, and what is downloaded is read as fast
as its acknowledgements may leave, so that TCP's own flow control slows the far end down. With 200 packets a second that
is 2.3 Mbit/s up and 4.6 Mbit/s down. Bytes received count against the day's as well: a volunteer may pay for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from random import Random

import msgspec

from probe.engine import sockets
from probe.engine.bench import Bench
from probe.engine.budget import HANDSHAKE, HEADERS
from probe.engine.connections import Opened, entry_of, opened, synack
from probe.model.exchange import Failure, Sample, TransferStep
from probe.model.outcome import Entry

_SEGMENT = 1448  # bytes of most segments: 1500 less headers and time stamps
_ACKNOWLEDGED = 2  # segments that one acknowledgement speaks for (RFC 1122, 4.2.3.2)
_CHUNK = 4 * _SEGMENT  # written or read at once: as much as a handshake's four packets may
_BUFFER = 65536  # what the kernel may hold for us, so that reading slowly is felt at the far end
_FILLING = Random(47474).randbytes(_CHUNK)
_BEHIND = 0.02  # seconds from a decoy to what follows it: it must not be overtaken
_FIRST, _LAST = 10, 4  # packets of a transfer that are kept


async def transfer(bench: Bench, step: TransferStep) -> Entry:
    """Perform a :class:`TransferStep`. Raises BudgetExhausted, CannotMeasure and OSError."""
    await bench.pace.allow(step.address, HANDSHAKE, HANDSHAKE * HEADERS + len(step.payload))
    samples: tuple[Sample, ...] = ()
    with contextlib.ExitStack() as hush:  # until the flow is over: what was on its way still comes
        async with opened(bench, step, _BUFFER) as connection:
            if not connection.failure:
                hush.enter_context(bench.intake.quiet(connection.key, _FIRST, _LAST))
                run = _Transfer(bench, step, connection)
                await run.run()
                samples = tuple(run.samples)
                # What the kernel sent besides: retransmissions, and acknowledgements that nobody waited for.
                more = sockets.segments_sent(connection.sock) - HANDSHAKE - run.paid
                if more > 0:
                    bench.pace.spend(step.address, more, more * HEADERS)
    return msgspec.structs.replace(entry_of(step, connection), samples=samples)


class _Transfer:
    """One transfer under way. ``paid``: packets that the budget was asked for besides those of the handshake."""

    def __init__(self, bench: Bench, step: TransferStep, connection: Opened) -> None:
        self._bench, self._step, self._connection = bench, step, connection
        self._sock: socket.socket = connection.sock
        self._written = self._received = self.paid = 0
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.samples: list[Sample] = []

    async def run(self) -> None:
        step = self._step
        try:
            await self._deceive()
            await sockets.patiently(lambda: self._sock.send(step.payload))
        except (ConnectionResetError, BrokenPipeError):
            self._fail("lost_race", "the flow was reset before the payload left")
            return
        except OSError as error:
            self._fail("error", sockets.explain(error))
            return
        self._written = len(step.payload)
        self._began = self._loop.time()
        sampling = self._loop.create_task(self._sample())
        reading = self._loop.create_task(self._read())
        work = self._loop.create_task(self._write()) if step.upload else reading
        try:
            await asyncio.wait({reading, work}, timeout=step.seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sampling, reading, work):
                task.cancel()
            ended = await asyncio.gather(sampling, reading, work, return_exceptions=True)
        self._look()
        for fault in ended:
            if isinstance(fault, Exception) and not isinstance(fault, OSError):
                raise fault  # the budget's; a connection that breaks is what the packets show

    async def _deceive(self) -> None:
        """Send the decoy, twice: one may get lost."""
        step, bench = self._step, self._bench
        bench.intake.drain()
        header = synack(bench, self._connection) if step.decoy else None
        if header is None:
            return
        send = partial(
            bench.raw.data, bench.route(step.address), step.address, self._connection.key[1], step.port, step.decoy_ttl,
            header.acknowledgement, (header.sequence + 1) & 0xFFFFFFFF, step.decoy,
        )  # fmt: skip
        for _ in range(2):
            await bench.pace.allow(step.address, 1, HEADERS + len(step.decoy))
            await sockets.patiently(send)
            await asyncio.sleep(_BEHIND)

    async def _write(self) -> None:
        """Upload, and wait until all of it is acknowledged."""
        left = self._step.upload
        while left:
            piece = _FILLING[: min(left, _CHUNK)]
            packets = -(-len(piece) // _SEGMENT)
            await self._pay(packets, packets * HEADERS + len(piece))
            await self._loop.sock_sendall(self._sock, piece)
            self._written += len(piece)
            left -= len(piece)
        while sockets.unacknowledged(self._sock):  # noqa: ASYNC110 - the kernel tells nobody when
            await asyncio.sleep(self._step.every / 4)

    async def _read(self) -> None:
        """Download up to the limit or the end of the stream."""
        while self._received < self._step.limit:
            piece = await self._loop.sock_recv(self._sock, min(_CHUNK, self._step.limit - self._received))
            if not piece:
                return
            self._received += len(piece)
            packets = -(-len(piece) // (_ACKNOWLEDGED * _SEGMENT))
            await self._pay(packets, packets * HEADERS + len(piece))

    async def _pay(self, packets: int, octets: int) -> None:
        await self._bench.pace.allow(self._step.address, packets, octets)
        self.paid += packets

    async def _sample(self) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, self._began + number * self._step.every - self._loop.time()))
            self._look()

    def _look(self) -> None:
        at = round(self._loop.time() - self._began, 4)
        self.samples.append(Sample(at, self._written - sockets.unacknowledged(self._sock), self._received))

    def _fail(self, failure: Failure, note: str) -> None:
        self._connection.failure, self._connection.note = failure, note
