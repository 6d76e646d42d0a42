"""TCP connections: the kernel's handshake from a port of ours, a payload at a TTL, an abort."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from functools import partial

import msgspec

from probe.engine import sockets
from probe.engine.bench import Bench
from probe.engine.budget import HANDSHAKE, HEADERS
from probe.engine.intake import Key
from probe.engine.observe import is_error
from probe.model.exchange import Failure, TcpStep, TlsStep, TransferStep
from probe.model.outcome import Entry
from probe.model.packet import Flags, Protocol, Tcp


class Opened(msgspec.Struct):
    """A connection of a step, or what became of it."""

    sock: socket.socket
    key: Key
    began: int
    ended: int = 0
    failure: Failure = ""
    note: str = ""


@contextlib.asynccontextmanager
async def opened(
    bench: Bench, step: TcpStep | TlsStep | TransferStep, buffer: int = 0, flow: str = "", tos: int = 0
) -> AsyncIterator[Opened]:
    """A connection whose handshake is over, well or not; aborted at the end.

    ``buffer``: bytes that the kernel may take before they are read; 0: as it likes. Raises CannotMeasure when no port
    is left, OSError for trouble of this machine. The budget is the caller's affair.
    """
    source = bench.route(step.address)
    async with bench.turn(step.address, step.port, flow):
        connection: Opened | None = None
        sock = socket.socket(sockets.family(step.address), socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tos:
                sockets.set_tos(sock, tos)
            sockets.bind_device(sock, bench.interface)
            key = int(Protocol.TCP), bench.bind(sock, source, (step.address, step.port, flow) if flow else None)
            bench.intake.open(key)
            connection = Opened(sock, key, bench.timeline.now())
            try:
                async with asyncio.timeout(step.connect_wait):
                    await asyncio.get_running_loop().sock_connect(sock, (step.address, step.port))
            except OSError as error:
                _no_handshake(bench, connection, error)
            yield connection
        finally:
            sockets.abort(sock)
            if connection is not None:
                await asyncio.sleep(0)
                bench.intake.drain()
                connection.ended = bench.timeline.now()


def _no_handshake(bench: Bench, connection: Opened, error: OSError) -> None:
    connection.failure, connection.note = sockets.connect_failure(error)
    bench.intake.drain()
    heard = bench.intake.of(connection.key)
    if connection.failure == "unreachable" and not any(
        is_error(record.packet) and record.ns >= connection.began for record in heard
    ):
        connection.failure = "error"  # this machine says so (no route, no neighbour), not the network


def entry_of(step: TcpStep | TlsStep | TransferStep, connection: Opened) -> Entry:
    """What the log says of a connection that is over."""
    return Entry(
        step=step, port=connection.key[1], began=connection.began, ended=connection.ended,
        failure=connection.failure, note=connection.note,
    )  # fmt: skip


async def connect(bench: Bench, step: TcpStep) -> Entry:
    """Perform a :class:`TcpStep`. Raises BudgetExhausted, CannotMeasure and OSError."""
    packets = HANDSHAKE + len(step.cuts)
    octets = packets * HEADERS + len(step.payload)
    await bench.pace.allow(step.address, packets, octets)
    async with opened(bench, step, step.read_limit, step.flow, step.tos) as connection:
        if not connection.failure and step.payload:
            connection.failure, connection.note = await payload(bench, step, connection)
    entry = entry_of(step, connection)
    bench.settle_up(entry, packets + len(step.path), octets + len(step.path) * HEADERS)
    return entry


async def payload(bench: Bench, step: TcpStep, connection: Opened) -> tuple[Failure, str]:
    """Send the payload, in as many segments as it is cut into, and listen."""
    bench.intake.drain()
    sock, sent = connection.sock, 0
    try:
        await _probe_path(bench, step, connection)
        with bench.intake.waiter(connection.key, step, bench.timeline.now()) as waiter:
            sockets.set_ttl(sock, step.ttl)
            for start, end in itertools.pairwise([0, *step.cuts, len(step.payload)]):
                if start:
                    await asyncio.sleep(step.gap)
                    if waiter.settled.is_set():
                        break  # somebody has answered half a request already
                await sockets.patiently(partial(sock.send, step.payload[start:end]))
                sent = end
            await waiter.listen(step.wait, step.linger)
    except (ConnectionResetError, BrokenPipeError):
        return ("lost_race", "the flow was reset before the payload left") if not sent else ("", "")
    except OSError as error:
        return "error", sockets.explain(error)
    return "", ""


async def _probe_path(bench: Bench, step: TcpStep, connection: Opened) -> None:
    """Bare ACKs one byte below the window, like a keep-alive (RFC 9293, 3.8.4): harmless wherever they end."""
    if not step.path:
        return
    header = synack(bench, connection)
    if header is None:
        return
    for ttl in step.path:
        await bench.pace.allow(step.address, 1, HEADERS)
        acknowledge = partial(
            bench.raw.ack, bench.route(step.address), step.address, connection.key[1], step.port, ttl,
            (header.acknowledgement - 1) & 0xFFFFFFFF, (header.sequence + 1) & 0xFFFFFFFF,
        )  # fmt: skip
        await sockets.patiently(acknowledge)


def synack(bench: Bench, connection: Opened) -> Tcp | None:
    """The SYN-ACK of a connection; None where the capture has lost it."""
    for record in bench.intake.of(connection.key):
        header = record.packet.header
        incoming = not record.outgoing and record.ns >= connection.began
        if incoming and isinstance(header, Tcp) and header.flags & Flags.SYN:
            return header
    return None
