"""Performs one batch of steps with real sockets, all side by side in one event loop.

Packets leave through the kernel's own sockets wherever those can do it (UDP with a TTL for each datagram, handshakes
by connect(2)); raw sockets send only what has no socket: bare SYNs, path probes of an open flow, ICMP echoes. What is
heard comes from the passive capture alone. No firewall rule is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from functools import partial
from typing import Self

from probe.engine import sockets
from probe.engine.bpf import attach_drop_all
from probe.engine.budget import HANDSHAKE
from probe.engine.clock import Timeline
from probe.engine.guard import Guard
from probe.engine.intake import Intake, Key
from probe.engine.interfaces import Own, source_for
from probe.engine.observe import Flow, is_error, observe, transport
from probe.engine.pace import Pace
from probe.engine.ports import Ports
from probe.engine.raw import RawSender
from probe.model.errors import ForbiddenDestination, NoRoute
from probe.model.exchange import (
    EchoStep,
    Exchange,
    Failure,
    PauseStep,
    Step,
    StreamStep,
    SynStep,
    TcpStep,
    TlsStep,
    TransferStep,
    UdpStep,
)
from probe.model.packet import Flags, Protocol, Tcp
from probe.wire.scrub import Scrubber

_DRAIN_EVERY = 64  # packets of a burst: without CAP_NET_ADMIN the capture's queue holds a few hundred
_HEADERS = 60  # bytes counted against the budget for each packet besides its payload

Log = Callable[[Step, Flow, Failure, str], None]
_Done = tuple[Flow, Failure, str]


class Performer:
    """Performs the steps of one run. Use as an async context manager; ``intake`` is what it heard."""

    def __init__(
        self, *, guard: Guard, pace: Pace, own: Own, scrubber: Scrubber, ports: Ports, raw: RawSender,
        timeline: Timeline, interface: str = "",
    ) -> None:  # fmt: skip
        self._guard, self._pace, self._own, self._scrubber = guard, pace, own, scrubber
        self._ports, self._raw, self._interface, self._timeline = ports, raw, interface, timeline
        self._flows: dict[tuple[object, ...], tuple[socket.socket, int]] = {}
        self._sources: dict[str, str] = {}
        self._names = dict(socket.if_nameindex())
        self._sent = 0

    async def __aenter__(self) -> Self:
        self.intake = Intake(self._scrubber, self._ports.base, self._timeline)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.intake.close()
        for sock, _port in self._flows.values():
            sock.close()
        self._raw.close()

    async def perform(self, batch: list[Step], log: Log) -> list[Exchange]:
        """Perform the steps side by side; the exchanges come in the steps' order.

        Raises ForbiddenDestination, NoRoute and NoPermission before anything of the batch is sent; BudgetExhausted when
        the day's bytes do not suffice for one of the steps (the others are broken off).
        """
        for step in batch:
            if not isinstance(step, PauseStep):
                self._guard.check(step.address)
                self._route(step.address)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._step(step)) for step in batch]
        except ExceptionGroup as together:
            raise together.exceptions[0] from None
        exchanges: list[Exchange] = []
        for step, task in zip(batch, tasks, strict=True):
            flow, failure, note = task.result()
            log(step, flow, failure, note)
            exchanges.append(observe(step, flow, self.intake.of((transport(step), flow.port)), failure, note))
        return exchanges

    def _route(self, address: str) -> str:
        """Source address towards a destination; makes sure that its interface is captured."""
        source = self._sources.get(address)
        if source is None:
            source = source_for(address, self._interface)
            if source == address:
                raise ForbiddenDestination(f"{address} is this machine itself")
            name = self._interface or self._names.get(self._own.index.get(source, 0), "")
            if not name:
                raise NoRoute(f"no interface holds {source}, the source address towards {address}")
            self.intake.listen(name)
            if not self._interface:
                for sibling in self._own.siblings(source) & self._names.keys():
                    with contextlib.suppress(NoRoute):  # it has gone: then nothing comes in by it
                        self.intake.listen(self._names[sibling])
            self._sources[address] = source
        return source

    # -- steps --------------------------------------------------------------------------------------------------

    async def _step(self, step: Step) -> _Done:
        began = self._timeline.now()
        try:
            if isinstance(step, PauseStep):
                await asyncio.sleep(step.seconds)
                return Flow(0, began, self._timeline.now()), "", ""
            if isinstance(step, TcpStep):
                return await self._tcp(step)
            if isinstance(step, StreamStep | TlsStep | TransferStep):
                raise NotImplementedError(type(step).__name__)
            return await self._probe(step)
        except OSError as error:
            # No descriptors left, the interface gone: trouble of this machine, which a finding can tell.
            return Flow(0, began, self._timeline.now()), "error", sockets.explain(error)

    async def _probe(self, step: UdpStep | SynStep | EchoStep) -> _Done:
        payload = len(step.payload) if isinstance(step, UdpStep) else 0
        await self._pace.allow(step.address, 1, _HEADERS + payload)
        port = self._port_of(step)
        key = transport(step), port
        began = self._timeline.now()
        failure: Failure = ""
        note = ""
        with self.intake.waiter(key, step, began) as waiter:
            try:
                await sockets.patiently(lambda: self._send(step, port))
            except OSError as error:
                failure, note = "error", sockets.explain(error)
            else:
                self._sent += 1
                if not self._sent % _DRAIN_EVERY:
                    self.intake.drain()
                await waiter.listen(step.wait, step.linger if isinstance(step, UdpStep) else 0.0)
        self.intake.drain()
        return Flow(port, began, self._timeline.now()), failure, note

    def _port_of(self, step: UdpStep | SynStep | EchoStep) -> int:
        """The local port of the step's flow: one socket holds it for the whole run, and receives nothing itself."""
        port = step.port if isinstance(step, UdpStep | SynStep) else 0
        # Bare SYNs and echoes have no socket that knows the far end: a flow's port serves all addresses: a company may
        # have more of them than there are ports.
        far = (step.address, port) if isinstance(step, UdpStep) else (self._sources[step.address],)
        name = (transport(step), *far, step.flow)
        if name in self._flows:
            return self._flows[name][1]
        kind = socket.SOCK_DGRAM if isinstance(step, UdpStep) else socket.SOCK_STREAM
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(sockets.family(step.address), kind))
            sock.setblocking(False)
            attach_drop_all(sock)
            local = self._ports.bind(sock, self._sources[step.address])
            if isinstance(step, UdpStep):
                sockets.bind_device(sock, self._interface)
                sock.connect((step.address, step.port))
            stack.pop_all()
        self._flows[name] = sock, local
        self.intake.open((transport(step), local))
        return local

    def _send(self, step: UdpStep | SynStep | EchoStep, port: int) -> None:
        if isinstance(step, SynStep):
            self._raw.syn(self._sources[step.address], step.address, port, step.port, step.ttl)
        elif isinstance(step, EchoStep):
            self._raw.echo(step.address, port, step.ttl)
        else:
            sock = self._flows[Protocol.UDP, step.address, step.port, step.flow][0]
            ancillary = sockets.ttl_message(sock.family, step.ttl)
            try:
                sock.sendmsg([step.payload], ancillary)
            except ConnectionRefusedError:  # an ICMP error about an earlier datagram: told once, nothing was sent
                sock.sendmsg([step.payload], ancillary)

    async def _tcp(self, step: TcpStep) -> _Done:
        await self._pace.allow(step.address, HANDSHAKE, HANDSHAKE * _HEADERS + len(step.payload))
        loop = asyncio.get_running_loop()
        sock = socket.socket(sockets.family(step.address), socket.SOCK_STREAM)
        failure: Failure = ""
        note = ""
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, step.read_limit)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets.bind_device(sock, self._interface)
            port = self._ports.bind(sock, self._sources[step.address])
            key = int(Protocol.TCP), port
            self.intake.open(key)
            began = self._timeline.now()
            try:
                await asyncio.wait_for(loop.sock_connect(sock, (step.address, step.port)), step.connect_wait)
            except OSError as error:
                failure, note = self._no_handshake(error, key)
            if not failure and step.payload:
                failure, note = await self._payload(step, sock, key)
        finally:
            sockets.abort(sock)
        await asyncio.sleep(0)
        self.intake.drain()
        self._settle_up(step, key)
        return Flow(port, began, self._timeline.now()), failure, note

    def _no_handshake(self, error: OSError, key: Key) -> tuple[Failure, str]:
        failure, note = sockets.connect_failure(error)
        self.intake.drain()
        if failure == "unreachable" and not any(is_error(record.packet) for record in self.intake.of(key)):
            return "error", note  # this machine says so (no route, no neighbour), not the network
        return failure, note

    async def _payload(self, step: TcpStep, sock: socket.socket, key: Key) -> tuple[Failure, str]:
        self.intake.drain()
        try:
            await self._probe_path(step, key)
            with self.intake.waiter(key, step, self._timeline.now()) as waiter:
                sockets.set_ttl(sock, step.ttl)
                await sockets.patiently(lambda: sock.send(step.payload))
                await waiter.listen(step.wait, step.linger)
        except (ConnectionResetError, BrokenPipeError):
            return "lost_race", "the flow was reset before the payload left"
        except OSError as error:
            return "error", sockets.explain(error)
        return "", ""

    async def _probe_path(self, step: TcpStep, key: Key) -> None:
        """Bare ACKs one byte below the window, like a keep-alive (RFC 9293, 3.8.4): harmless wherever they end."""
        for record in self.intake.of(key):
            header = record.packet.header
            if not record.outgoing and isinstance(header, Tcp) and header.flags & Flags.SYN:
                for ttl in step.path:
                    await self._pace.allow(step.address, 1, _HEADERS)
                    acknowledge = partial(
                        self._raw.ack, self._sources[step.address], step.address, key[1], step.port, ttl,
                        (header.acknowledgement - 1) & 0xFFFFFFFF, (header.sequence + 1) & 0xFFFFFFFF,
                    )  # fmt: skip
                    await sockets.patiently(acknowledge)
                return

    def _settle_up(self, step: TcpStep, key: Key) -> None:
        """The kernel also sends what nobody asked for: retransmissions, acknowledgements. They count all the same."""
        sent = [record for record in self.intake.of(key) if record.outgoing]
        more = len(sent) - HANDSHAKE - len(step.path)
        if more > 0:
            paid = HANDSHAKE * _HEADERS + len(step.payload) + len(step.path) * _HEADERS
            self._pace.spend(step.address, more, max(0, sum(len(record.data) for record in sent) - paid))
