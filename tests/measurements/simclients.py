"""The probe's end of each step in the simulated network: what the kernel does, and what the capture beside it hears."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import msgspec

from probe.model.exchange import (
    EchoStep,
    Exchange,
    Failure,
    Heard,
    ListenStep,
    PauseStep,
    Step,
    StreamStep,
    SynStep,
    TcpStep,
    TlsStep,
    TransferStep,
    UdpStep,
)
from probe.model.packet import Icmp, Packet, Protocol, Tcp, Udp
from probe.wire import passages
from probe.wire.counters import datagram
from tests.measurements.simnet import ACK, FIN, PSH, RST, SELF, SYN, Internet

_SYN_AGAIN = (1.0, 3.0, 7.0)  # seconds after the first (RFC 6298)
_FIRST_TIMEOUT = 0.2  # Linux's least retransmission timeout
_WINDOW = 65535
_PROBE_WINDOW = 512  # a path probe's window field is this plus its TTL


class Client:
    """A step under way."""

    step: Any

    def __init__(self, net: Internet, step: Step, address: str) -> None:
        self.net, self.step, self.address = net, step, address
        self.port = net.random.randrange(1024, 65536)
        self.detour = net.random.random() < 0.5
        self.ended = False
        self.began = self.ended_at = 0.0
        self.sent_at: float | None = None
        self.failure: Failure = ""
        self.settled = False
        self._heard: list[Heard] = []

    def begin(self) -> None:
        """The step's first packet leaves."""
        raise NotImplementedError

    def hear(self, packet: Packet) -> None:
        """A packet has come in."""
        self.note(packet, outgoing=False)
        self.settle(self.step.linger if isinstance(self.step, UdpStep) else 0.0)

    def overhear(self, packet: Packet) -> None:
        """A packet has come in that the step listens for no longer."""

    def out_of_window(self, packet: Packet) -> bool:  # noqa: ARG002 - only TCP has windows
        """Whether a home router's connection tracking takes the packet for none of this flow's."""
        return False

    def note(self, packet: Packet, *, outgoing: bool) -> None:
        """What the capture writes down."""
        self._heard.append(Heard(self.net.now - self.began, outgoing, packet))

    def send(self, header: Tcp | Udp | Icmp, payload: bytes, ttl: int) -> Packet:
        """Send a packet of this flow."""
        version = self.net.network.version
        protocol = {Tcp: Protocol.TCP, Udp: Protocol.UDP}.get(type(header)) or (
            Protocol.ICMP if version == 4 else Protocol.ICMPV6
        )
        packet = Packet(
            version=version, source=SELF[version], destination=self.address, ttl=ttl, protocol=protocol,
            length=40 + len(payload), ident=self.net.random.randrange(1, 65536) if version == 4 else None,
            tos=getattr(self.step, "tos", 0), header=header, payload=payload,
        )  # fmt: skip
        self.note(packet, outgoing=True)
        self.net.outward(self, packet)
        return packet

    def sends_probe(self) -> None:
        """From now on the step's own packet is under way, and is waited for."""
        self.sent_at = self.net.now - self.began
        self.net.at(self.net.now + self.step.wait, self.end)

    def settle(self, linger: float) -> None:
        """The first answer has come."""
        if not self.settled:
            self.settled = True
            self.net.at(self.net.now + linger, self.end)

    def end(self) -> None:
        """Stop listening."""
        if not self.ended:
            self.ended, self.ended_at = True, self.net.now

    def exchange(self) -> Exchange:
        """What the engine would hand to the measurement."""
        return Exchange(step=self.step, heard=self.heard_until(self.ended_at), sent_at=self.sent_at,
                        failure=self.failure)  # fmt: skip

    def heard_until(self, when: float) -> tuple[Heard, ...]:
        """What the capture has of this flow, up to a time."""
        return tuple(heard for heard in self._heard if heard.at <= when - self.began)


class Datagram(Client):
    """UdpStep: queries of one flow share a port, so they share their way."""

    step: UdpStep

    def begin(self) -> None:
        self.began = self.net.now
        self.port = port_of(self.step)
        self.detour = bool(self.port & 1)
        self.sends_probe()
        header = Udp(self.port, self.step.port, 8 + len(self.step.payload))
        self.send(header, self.step.payload, self.step.ttl)

    def overhear(self, packet: Packet) -> None:
        self.note(packet, outgoing=False)


class Listen(Client):
    """ListenStep: what a datagram of an earlier batch has brought since."""

    step: ListenStep

    def begin(self) -> None:
        self.of = self.net.asked[self.step.of]
        self.net.at(max(self.net.now, self.of.began + self.step.seconds), self.end)

    def exchange(self) -> Exchange:
        return Exchange(step=self.step, heard=self.of.heard_until(self.ended_at), sent_at=self.of.sent_at)


class Stream(Client):
    """StreamStep: its datagrams leave at their times; boxes and hosts treat each as any other."""

    step: StreamStep

    def begin(self) -> None:
        step, now = self.step, self.net.now
        self.began = self.heard_at = now
        self.sent_at = 0.0
        self.port = port_of(step)
        self.detour = bool(self.port & 1)
        for number in range(step.count):
            self.net.at(now + number * step.interval, lambda number=number: self._leave(number))  # type: ignore[misc]
        self.net.at(now + (step.count - 1) * step.interval + step.wait, self.end)

    def _leave(self, number: int) -> None:
        step = self.step
        if self.ended:
            return
        if step.give_up and self.net.now - self.heard_at >= step.give_up:
            self.end()
            return
        payload = datagram(step, number)
        self.send(Udp(self.port, step.port, 8 + len(payload)), payload, step.ttl)

    def hear(self, packet: Packet) -> None:
        self.heard_at = self.net.now
        self.note(packet, outgoing=False)

    def exchange(self) -> Exchange:
        """An account of all, and few of the packets, as the engine has it."""
        whole = super().exchange()
        found, kept = passages.read(self.step, [(h.at, h.outgoing, h.packet) for h in whole.heard])
        heard = tuple(whole.heard[index] for index in kept)
        return msgspec.structs.replace(whole, heard=heard, account=passages.encode(self.step, found))


class Syn(Client):
    """SynStep."""

    step: SynStep

    def begin(self) -> None:
        self.began = self.net.now
        self.detour = bool(sum(self.step.flow.encode()) & 1)
        self.sends_probe()
        sequence = self.net.random.randrange(1 << 32)
        self.send(Tcp(self.port, self.step.port, sequence, 0, SYN, 64240), b"", self.step.ttl)


class Echo(Client):
    """EchoStep."""

    step: EchoStep

    def begin(self) -> None:
        self.began = self.net.now
        self.sends_probe()
        self.send(Icmp(8 if self.net.network.version == 4 else 128, 0, rest=self.port << 16), b"", self.step.ttl)


class Pause(Client):
    """PauseStep: virtual time passes."""

    step: PauseStep

    def begin(self) -> None:
        self.began = self.net.now
        self.net.at(self.net.now + self.step.seconds, self.end)


class Connection(Client):
    """TcpStep: the kernel's handshake, retransmissions and acknowledgements."""

    step: TcpStep

    def begin(self) -> None:
        self.began = self.net.now
        if self.step.flow:
            self.port = port_of(self.step)
            self.detour = bool(self.port & 1)
        self.first = self.net.random.randrange(1 << 32)
        self.next: int | None = None  # sequence number that is expected from the server
        self.pushed = self.acknowledged = 0  # bytes of the payload
        self.closed = False
        self._syn()
        for after in _SYN_AGAIN:
            if after < self.step.connect_wait:
                self.net.at(self.began + after, self._syn)
        self.net.at(self.began + self.step.connect_wait, self._give_up)

    def _syn(self) -> None:
        if self.next is None and not self.ended:
            self.send(Tcp(self.port, self.step.port, self.first, 0, SYN, 64240), b"", 64)

    def _give_up(self) -> None:
        if self.next is None and not self.ended:
            self._fail("timeout")

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self.end()

    def hear(self, packet: Packet) -> None:
        self.note(packet, outgoing=False)
        header = packet.header
        if isinstance(header, Icmp):
            self._hear_error(header)
        elif isinstance(header, Tcp):
            self._hear_segment(packet, header)

    def _hear_error(self, header: Icmp) -> None:
        quoted = header.quoted.header if header.quoted else None
        if self.next is None:
            self._fail("unreachable")
        elif isinstance(quoted, Tcp) and quoted.sequence == (self.first + 1) & 0xFFFFFFFF and self.sent_at is not None:
            self.settle(self.step.linger)

    def _hear_segment(self, packet: Packet, header: Tcp) -> None:
        if header.flags & SYN:
            if self.next is None:
                self.next = (header.sequence + 1) & 0xFFFFFFFF
                self._send(ACK, b"", 64)
                self.net.at(self.net.now + 0.0003, self._payload)
            return
        if self.next is None:
            if header.flags & RST:
                self._fail("refused")
            return
        if header.flags & RST:
            self.closed = self.closed or header.sequence == self.next
            if self.sent_at is None:
                self._fail("lost_race")
                return
        elif (ahead := (header.acknowledgement - self.first - 1) & 0xFFFFFFFF) <= len(self.step.payload):
            self.acknowledged = max(self.acknowledged, ahead)
        length = len(packet.payload) + bool(header.flags & FIN)
        if length and not header.flags & RST and not self.closed:
            if header.sequence == self.next:
                self.next = (self.next + length) & 0xFFFFFFFF
            self._send(ACK, b"", self.step.ttl if self.sent_at is not None else 64)
        if (packet.payload or header.flags & (RST | FIN)) and self.sent_at is not None:
            self.settle(self.step.linger)

    def _payload(self) -> None:
        if self.ended:
            return
        if not self.step.payload:
            self.end()
            return
        for ttl in self.step.path:
            header = Tcp(self.port, self.step.port, self.first, self.next or 0, ACK, _PROBE_WINDOW + ttl)
            self.send(header, b"", ttl)
        edges = [0, *self.step.cuts, len(self.step.payload)]
        now = self.net.now
        self.sent_at = now - self.began
        self.net.at(now + (len(edges) - 2) * self.step.gap + self.step.wait, self.end)
        self._push(0, edges[1], _FIRST_TIMEOUT)
        for i, (start, end) in enumerate(itertools.pairwise(edges[1:]), 1):
            again = lambda start=start, end=end: self._push(start, end, _FIRST_TIMEOUT)  # noqa: E731
            self.net.at(now + i * self.step.gap, again)

    def _push(self, start: int, end: int, timeout: float) -> None:
        if self.ended or self.acknowledged >= end or self.closed:
            return
        self.pushed = max(self.pushed, end)
        self._send(ACK | PSH, self.step.payload[start:end], self.step.ttl, at=start)
        self.net.at(self.net.now + timeout, lambda: self._push(start, end, 2 * timeout))

    def _send(self, flags: int, payload: bytes, ttl: int, *, at: int | None = None) -> None:
        sequence = (self.first + 1 + (self.pushed if at is None else at)) & 0xFFFFFFFF
        self.send(Tcp(self.port, self.step.port, sequence, self.next or 0, flags, 64240), payload, ttl)

    def out_of_window(self, packet: Packet) -> bool:
        header = packet.header
        if not isinstance(header, Tcp) or not header.flags & RST or self.next is None:
            return False
        return (header.sequence - self.next) & 0xFFFFFFFF > _WINDOW

    def end(self) -> None:
        if not self.ended and self.next is not None:
            self._send(RST, b"", 64)
        super().end()


def port_of(step: UdpStep | StreamStep | TcpStep) -> int:
    """The port of a flow."""
    key = f"{step.flow}/{step.address}/{step.port}"
    return 1024 + zlib.crc32(key.encode()) % 60000


def client(net: Internet, step: Step) -> Client:
    """The client of a step."""
    from tests.measurements.simsessions import Tls, Transfer

    if isinstance(step, PauseStep):
        return Pause(net, step, "")
    if isinstance(step, TlsStep):
        return Tls(net, step)
    if isinstance(step, TransferStep):
        return Transfer(net, step)
    kinds: dict[type[Step], type[Client]] = {
        TcpStep: Connection, UdpStep: Datagram, StreamStep: Stream, SynStep: Syn, EchoStep: Echo,
        ListenStep: Listen,
    }  # fmt: skip
    return kinds[type(step)](net, step, step.address)
