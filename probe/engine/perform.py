"""Performs one batch of steps with real sockets, all side by side in one event loop.

Packets leave through the kernel's own sockets wherever those can do it (UDP with a TTL for each datagram, TCP handshakes
by connect(2)); raw sockets send only what has no socket: bare SYNs, path probes of an open flow, ICMP echoes. What is
heard comes from the passive capture alone. No firewall rule is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable

from probe.engine.bpf import attach_drop_all
from probe.engine.budget import Budget
from probe.engine.capture import Capture
from probe.engine.guard import Guard
from probe.engine.interfaces import Own, source_for
from probe.engine.observe import Flow, Record, Watch, local_port, observe, transport
from probe.engine.ports import MASK, Ports
from probe.engine.raw import RawSender
from probe.model.errors import ForbiddenDestination, MalformedPacket, NoRoute
from probe.model.exchange import FULL_TTL, EchoStep, Exchange, Failure, PauseStep, Step, SynStep, TcpStep, UdpStep
from probe.model.packet import Flags, Protocol, Tcp
from probe.wire import ip
from probe.wire.scrub import Scrubber

_IP_HEADERS = 60  # bytes counted against the budget for each packet besides its payload
_HANDSHAKE = 4  # SYN, ACK, the payload and the closing RST
_TCP_NODELAY_ON = 1

Log = Callable[[Step, Flow, Failure, str], None]


class _Waiter:
    """Somebody who waits for a packet that settles a step."""

    def __init__(self, step: Step) -> None:
        self.watch = Watch(step)
        self.settled = asyncio.Event()
        self.since = 0


class Performer:
    """Performs the steps of one run. Use as an async context manager."""

    def __init__(
        self, *, guard: Guard, budget: Budget, own: Own, scrubber: Scrubber, ports: Ports, raw: RawSender, interface: str = ""
    ) -> None:
        self._guard, self._budget, self._own, self._scrubber = guard, budget, own, scrubber
        self._ports, self._raw, self._interface = ports, raw, interface
        self._records: dict[tuple[int, int], list[Record]] = defaultdict(list)
        self._waiters: dict[tuple[int, int], list[_Waiter]] = defaultdict(list)
        self._flows: dict[tuple[object, ...], tuple[socket.socket, int]] = {}
        self._sources: dict[str, str] = {}
        self._names = dict(_names_by_index())
        self.records: list[Record] = []
        self.malformed = 0

    async def __aenter__(self) -> Performer:
        self._capture = Capture(self._ports.base, MASK, self._on_packet)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._capture.close()
        for sock, _port in self._flows.values():
            sock.close()
        self._raw.close()

    async def perform(self, batch: list[Step], log: Log) -> list[Exchange]:
        """Perform the steps side by side; the exchanges come in the steps' order.

        Raises ForbiddenDestination, NoRoute and NoPermission before anything of the batch is sent; BudgetExhausted when
        the day's bytes do not suffice for one of the steps.
        """
        for step in batch:
            if not isinstance(step, PauseStep):
                self._guard.check(step.address)
                self._route(step.address)
        results = await asyncio.gather(*(self._step(step) for step in batch), return_exceptions=True)
        exchanges: list[Exchange] = []
        for step, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            flow, failure, note = result
            log(step, flow, failure, note)
            records = self._records[transport(step), flow.port] if flow.port else []
            exchanges.append(observe(step, flow, records, failure, note))
        return exchanges

    # -- what the capture hands on ------------------------------------------------------------------------------

    def _on_packet(self, ns: int, outgoing: bool, data: bytearray) -> None:
        try:
            self._scrubber.scrub(data, outgoing)
            octets = bytes(data)
            packet = ip.decode(octets)
        except MalformedPacket:
            self.malformed += 1
            return
        key = local_port(packet, outgoing)
        if key is None or key not in self._records:
            return  # inside our block of ports, yet no flow of this run
        record = Record(ns, outgoing, octets, packet)
        self._records[key].append(record)
        self.records.append(record)
        for waiter in self._waiters.get(key, ()):
            if ns >= waiter.since and waiter.watch.settles(record):
                waiter.settled.set()

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
            self._capture.listen(name)
            self._sources[address] = source
        return source

    async def _allowance(self, address: str, packets: int, payload: int) -> None:
        now = time.monotonic()
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        delay = self._budget.take(address, packets, packets * _IP_HEADERS + payload, now, day)
        if delay > 0:
            await asyncio.sleep(delay)

    # -- steps --------------------------------------------------------------------------------------------------

    async def _step(self, step: Step) -> tuple[Flow, Failure, str]:
        if isinstance(step, PauseStep):
            began = time.time_ns()
            await asyncio.sleep(step.seconds)
            return Flow(0, began, time.time_ns()), "", ""
        if isinstance(step, TcpStep):
            return await self._tcp(step)
        await self._allowance(step.address, 1, len(step.payload) if isinstance(step, UdpStep) else 0)
        key = transport(step), self._port_of(step)
        waiter = _Waiter(step)
        began = waiter.since = time.time_ns()
        self._waiters[key].append(waiter)
        failure: Failure = ""
        note = ""
        try:
            try:
                self._send(step, key[1])
            except OSError as error:
                failure, note = "error", _explain(error)
            else:
                await self._listen(waiter, step.wait, step.linger if isinstance(step, UdpStep) else 0.0)
        finally:
            self._waiters[key].remove(waiter)
        self._capture.drain()
        return Flow(key[1], began, time.time_ns()), failure, note

    async def _listen(self, waiter: _Waiter, wait: float, linger: float) -> None:
        """Until ``wait`` is over, or ``linger`` after the first packet that settles the step."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(waiter.settled.wait(), wait)
            if linger:
                await asyncio.sleep(linger)

    def _port_of(self, step: UdpStep | SynStep | EchoStep) -> int:
        """The local port of the step's flow: one socket holds it for the whole run, and receives nothing itself."""
        port = step.port if isinstance(step, UdpStep | SynStep) else 0
        name = (transport(step), step.address, port, step.flow)
        if name in self._flows:
            return self._flows[name][1]
        source = self._sources[step.address]
        family = _family(step.address)
        kind = socket.SOCK_DGRAM if isinstance(step, UdpStep) else socket.SOCK_STREAM
        sock = socket.socket(family, kind)
        local = self._ports.bind(sock, source)
        attach_drop_all(sock)
        if isinstance(step, UdpStep):
            self._bind_device(sock)
            sock.connect((step.address, step.port))
        self._flows[name] = sock, local
        self._records[transport(step), local] = []
        return local

    def _send(self, step: UdpStep | SynStep | EchoStep, port: int) -> None:
        if isinstance(step, SynStep):
            self._raw.syn(self._sources[step.address], step.address, port, step.port, step.ttl)
        elif isinstance(step, EchoStep):
            self._raw.echo(step.address, port, step.ttl)
        else:
            sock = self._flows[Protocol.UDP, step.address, step.port, step.flow][0]
            ancillary = _ttl_message(sock.family, step.ttl)
            try:
                sock.sendmsg([step.payload], ancillary)
            except ConnectionRefusedError:  # an ICMP error about an earlier datagram: reported once, nothing was sent
                sock.sendmsg([step.payload], ancillary)

    def _bind_device(self, sock: socket.socket) -> None:
        if self._interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode())

    async def _tcp(self, step: TcpStep) -> tuple[Flow, Failure, str]:
        await self._allowance(step.address, _HANDSHAKE + len(step.path), len(step.payload) + step.read_limit // 4)
        loop = asyncio.get_running_loop()
        sock = socket.socket(_family(step.address), socket.SOCK_STREAM)
        failure: Failure = ""
        note = ""
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, step.read_limit)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, _TCP_NODELAY_ON)
            self._bind_device(sock)
            port = self._ports.bind(sock, self._sources[step.address])
            key = int(Protocol.TCP), port
            self._records[key] = []
            began = time.time_ns()
            try:
                await asyncio.wait_for(loop.sock_connect(sock, (step.address, step.port)), step.connect_wait)
            except OSError as error:
                failure, note = _connect_failure(error)
            if not failure and step.payload:
                failure, note = await self._payload(step, sock, key)
        finally:
            _abort(sock)
        await asyncio.sleep(0)
        self._capture.drain()
        return Flow(port, began, time.time_ns()), failure, note

    async def _payload(self, step: TcpStep, sock: socket.socket, key: tuple[int, int]) -> tuple[Failure, str]:
        self._capture.drain()
        if step.path:
            self._probe_path(step, key)
        waiter = _Waiter(step)
        waiter.since = time.time_ns()
        self._waiters[key].append(waiter)
        try:
            _set_ttl(sock, step.ttl)
            sock.send(step.payload)
            await self._listen(waiter, step.wait, step.linger)
        except (ConnectionResetError, BrokenPipeError):
            return "lost_race", "the flow was reset before the payload left"
        except OSError as error:
            return "error", _explain(error)
        finally:
            self._waiters[key].remove(waiter)
        return "", ""

    def _probe_path(self, step: TcpStep, key: tuple[int, int]) -> None:
        """Bare ACKs one byte below the window, like a keep-alive (RFC 9293, section 3.8.4): harmless wherever they end."""
        for record in self._records[key]:
            header = record.packet.header
            if not record.outgoing and isinstance(header, Tcp) and header.flags & Flags.SYN:
                for ttl in step.path:
                    self._raw.ack(
                        self._sources[step.address], step.address, key[1], step.port, ttl,
                        (header.acknowledgement - 1) & 0xFFFFFFFF, (header.sequence + 1) & 0xFFFFFFFF,
                    )  # fmt: skip
                return


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _ttl_message(family: int, ttl: int) -> list[tuple[int, int, bytes]]:
    value = struct.pack("@i", ttl)
    if family == socket.AF_INET6:
        return [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, value)]
    return [(socket.IPPROTO_IP, socket.IP_TTL, value)]


def _set_ttl(sock: socket.socket, ttl: int) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def _abort(sock: socket.socket) -> None:
    """One RST at full TTL instead of FINs that are sent again and again."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        _set_ttl(sock, FULL_TTL)
    sock.close()


def _connect_failure(error: OSError) -> tuple[Failure, str]:
    if isinstance(error, ConnectionRefusedError):
        return "refused", ""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timeout", ""
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPROTO):
        return "unreachable", _explain(error)
    if isinstance(error, ConnectionResetError):
        return "refused", "reset during the handshake"
    return "error", _explain(error)


def _explain(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def _names_by_index() -> list[tuple[int, str]]:
    return socket.if_nameindex()
