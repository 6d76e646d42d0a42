"""The probe's end of each step in the simulated network: what the kernel does, and what the capture beside it hears."""

from __future__ import annotations

from typing import Any

from probe.model.exchange import EchoStep, Exchange, Failure, Heard, PauseStep, Step, SynStep, TcpStep, UdpStep
from probe.model.packet import Icmp, Packet, Protocol, Tcp, Udp
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
        self.began = 0.0
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
            header=header, payload=payload,
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
        self.ended = True

    def exchange(self) -> Exchange:
        """What the engine would hand to the measurement."""
        return Exchange(step=self.step, heard=tuple(self._heard), sent_at=self.sent_at, failure=self.failure)


class Datagram(Client):
    """UdpStep: queries of one flow share a port, so they share their way."""

    step: UdpStep

    def begin(self) -> None:
        self.began = self.net.now
        key = f"{self.step.flow}/{self.address}/{self.step.port}"
        self.port = 1024 + sum(key.encode()) * 31 % 60000
        self.detour = bool(self.port & 1)
        self.sends_probe()
        header = Udp(self.port, self.step.port, 8 + len(self.step.payload))
        self.send(header, self.step.payload, self.step.ttl)


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
        self.first = self.net.random.randrange(1 << 32)
        self.next: int | None = None  # sequence number that is expected from the server
        self.acknowledged = self.closed = False
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
        elif header.acknowledgement == (self.first + 1 + len(self.step.payload)) & 0xFFFFFFFF:
            self.acknowledged = True
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
        self.sends_probe()
        self._push(_FIRST_TIMEOUT)

    def _push(self, timeout: float) -> None:
        if self.ended or self.acknowledged or self.closed:
            return
        self._send(ACK | PSH, self.step.payload, self.step.ttl, at_start=True)
        self.net.at(self.net.now + timeout, lambda: self._push(2 * timeout))

    def _send(self, flags: int, payload: bytes, ttl: int, *, at_start: bool = False) -> None:
        sent = self.step.payload if self.sent_at is not None and not at_start else b""
        sequence = (self.first + 1 + len(sent)) & 0xFFFFFFFF
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


def client(net: Internet, step: Step) -> Client:
    """The client of a step."""
    if isinstance(step, TcpStep):
        return Connection(net, step, step.address)
    if isinstance(step, UdpStep):
        return Datagram(net, step, step.address)
    if isinstance(step, SynStep):
        return Syn(net, step, step.address)
    if isinstance(step, EchoStep):
        return Echo(net, step, step.address)
    return Pause(net, step, "")
