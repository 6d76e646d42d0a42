"""Far ends of the simulated network: web servers and resolvers, honest all of them, some of them odd."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from probe.model.errors import MalformedPacket
from probe.model.exchange import Session, TlsStep
from probe.model.packet import Icmp, Packet, Tcp, Udp
from probe.wire import dns, http, tls
from tests.measurements.simclients import Client
from tests.measurements.simnet import ACK, FIN, PSH, RST, SYN, Internet, reply

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SESSION = Session(version="TLSv1.3", chain=(b"leaf", b"issuer"), at=1_800_000_000, synchronised=True)
HELLO = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"
_AGAIN = (0.3, 0.9, 2.1)


def named(payload: bytes) -> str | None:
    """Host that a payload asks for, in HTTP or TLS."""
    return http.host(payload) or tls.server_name(payload)


def whole(payload: bytes) -> bool:
    """Whether a request is complete; what is neither HTTP nor TLS is taken as it comes."""
    if payload[:1] == b"\x16":
        return len(payload) >= 5 and len(payload) >= 5 + int.from_bytes(payload[3:5], "big")
    return not payload[:8].partition(b" ")[0].isalpha() or b"\r\n\r\n" in payload


class _Flow:
    """A server's side of a connection."""

    def __init__(self, first: int, expected: int) -> None:
        self.first, self.expected = first, expected
        self.opened = expected
        self.request = b""
        self.asked = self.closed = False
        self.acknowledged = 0  # how far behind `first`


@dataclass(frozen=True)
class Web:
    """A server on every port. ``unknown``: what a name gets that is not in ``names`` (no names: all are served);
    "mute" takes the request and says nothing, "swallow" is a firewall of its own that does not even take it.

    ``data_ttl``, ``reset_ttl``: initial TTLs of another machine behind the same address (a load balancer's parts).
    ``banned_after``: so many unknown names, and for ``ban`` seconds nothing is answered any more; ``most``: so many
    connections in ten seconds, likewise, whatever they name.
    """

    hops: int = 0
    names: tuple[str, ...] = ()
    unknown: Literal["serve", "reset", "close", "mute", "swallow", "page"] = "serve"
    port: Literal["open", "closed", "filtered", "unreachable"] = "open"
    delay: float = 0.0
    ttl: int = 64
    data_ttl: int = 0
    reset_ttl: int | Literal["mirror"] = 0
    pieces: int = 1
    farewell: Literal["fin", "reset", ""] = "fin"
    banned_after: int = 0
    most: int = 0
    ban: float = 30.0
    copies: int = 1  # of each reset
    tls: Session = SESSION
    speed: float = 12_500_000.0  # bytes a second of a transfer

    def session(self, step: TlsStep) -> Session:
        """Its own certificate, and a page for whoever asks."""
        return msgspec.structs.replace(self.tls, data=PAGE if step.payload else b"")

    def rate(self, net: Internet, flow: Client, upload: bool, memory: dict[Any, Any]) -> float:  # noqa: ARG002
        """As fast as it can."""
        return self.speed

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:
        header = packet.header
        if isinstance(header, Icmp):
            self._echo(net, flow, packet, header)
        if not isinstance(header, Tcp) or self.port == "filtered" or net.now < memory.get("banned until", 0.0):
            return
        if self.port == "unreachable":
            net.unreachable(flow, packet, 13)
            return
        if header.flags & SYN:
            recent = [when for when in memory.get("opened", []) if when > net.now - 10]
            memory["opened"] = [*recent, net.now]
            if self.most and len(recent) >= self.most:
                memory["banned until"] = net.now + self.ban
                return
            self._open(net, flow, packet, header, memory)
        elif (state := memory.get(flow.port)) is not None and not state.closed:
            self._segment(net, flow, packet, header, state, memory)

    def _echo(self, net: Internet, flow: Client, packet: Packet, header: Icmp) -> None:
        answer = Icmp({8: 0, 128: 129}[header.type], 0, rest=header.rest)
        back = Packet(
            version=packet.version, source=packet.destination, destination=packet.source, ttl=self.ttl,
            protocol=packet.protocol, length=packet.length, ident=net.random.randrange(65536), header=answer,
        )  # fmt: skip
        net.inward(flow, back, net.back(flow), net.now, behind=net.distance(flow))

    def _open(self, net: Internet, flow: Client, packet: Packet, header: Tcp, memory: dict[Any, Any]) -> None:
        if self.port == "closed":
            self._say(net, flow, packet, RST | ACK, 0, header.sequence + 1)
            return
        state = memory.get(flow.port)
        expected = header.sequence + 1 & 0xFFFFFFFF
        if state is None or (state.closed and state.opened != expected):
            state = memory[flow.port] = _Flow(net.random.randrange(1 << 32), expected)
        self._say(net, flow, packet, SYN | ACK, state.first, state.expected)

    def _segment(
        self, net: Internet, flow: Client, packet: Packet, header: Tcp, state: _Flow, memory: dict[Any, Any]
    ) -> None:
        if header.flags & RST:
            state.closed = True
            return
        if header.flags & ACK:
            state.acknowledged = max(header.acknowledgement - state.first & 0xFFFFFFFF, state.acknowledged)
        if header.sequence == state.expected - 1 & 0xFFFFFFFF and not packet.payload:  # a keep-alive
            self._say(net, flow, packet, ACK, state.first + 1, state.expected)
        elif packet.payload and not state.asked:
            if self.unknown == "swallow" and self.names and named(state.request + packet.payload) not in self.names:
                return  # a firewall of its own
            if header.sequence == state.expected:
                state.request += packet.payload
                state.expected = state.expected + len(packet.payload) & 0xFFFFFFFF
            if whole(state.request):
                state.asked = True
                self._asked(net, flow, packet, state, memory)
            else:
                self._say(net, flow, packet, ACK, state.first + 1, state.expected)
        elif packet.payload:
            self._say(net, flow, packet, ACK, state.first + 1, state.expected)

    def _asked(self, net: Internet, flow: Client, packet: Packet, state: _Flow, memory: dict[Any, Any]) -> None:
        name = named(state.request)
        served = not self.names or name in self.names
        if not served:
            memory["strangers"] = memory.get("strangers", 0) + 1
            if self.banned_after and memory["strangers"] >= self.banned_after:
                memory["banned until"] = net.now + self.ban
                return
        does = "serve" if served else self.unknown
        if does == "mute":
            self._say(net, flow, packet, ACK, state.first + 1, state.expected)
            return
        start = state.first + 1
        if does == "reset":
            ttl = packet.ttl if self.reset_ttl == "mirror" else self.reset_ttl or self.ttl
            if self.reset_ttl == "mirror":
                ttl -= net.distance(flow) - 1
            for _ in range(self.copies):
                self._say(net, flow, packet, RST | ACK, start, state.expected, ttl=ttl)
            state.closed = True
            return
        if does == "close":
            self._say(net, flow, packet, FIN | ACK, start, state.expected)
            return
        if self.delay:
            self._say(net, flow, packet, ACK, start, state.expected)
        body = PAGE if http.host(state.request) else HELLO
        if does == "page":
            body = PAGE.replace(b"200 OK", b"403 No")
        for again in (0.0, *_AGAIN):
            net.at(net.now + self.delay + again, lambda: self._serve(net, flow, packet, state, body))

    def _serve(self, net: Internet, flow: Client, packet: Packet, state: _Flow, body: bytes) -> None:
        start, end = state.first + 1, state.first + 1 + len(body)
        if state.closed or state.acknowledged > len(body):
            return
        size = -(-len(body) // self.pieces)
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            ttl = self.data_ttl or self.ttl
            self._say(net, flow, packet, ACK | PSH, start + at, state.expected, piece, ttl)
        if self.farewell == "fin":
            self._say(net, flow, packet, FIN | ACK, end, state.expected)
        elif self.farewell == "reset":
            self._say(net, flow, packet, RST | ACK, end, state.expected)

    def _say(
        self, net: Internet, flow: Client, packet: Packet, flags: int, sequence: int, acknowledgement: int,
        payload: bytes = b"", ttl: int = 0,
    ) -> None:  # fmt: skip
        assert isinstance(packet.header, Tcp)
        header = Tcp(
            packet.header.destination_port, packet.header.source_port, sequence & 0xFFFFFFFF,
            acknowledgement & 0xFFFFFFFF, flags, 65160,
        )  # fmt: skip
        back = reply(packet, ttl or self.ttl, header, payload, net.random.randrange(1, 65536))
        net.inward(flow, back, net.back(flow), net.now, behind=net.distance(flow))


@dataclass(frozen=True)
class Resolver:
    """Answers A queries. ``slow``: seconds a name takes, 0.02 more each; ``rotate``: another address each time.

    ``ignores``: names without an answer; ``ttls``: initial TTLs of several machines behind the address, one a flow;
    ``rate``: answers to one question in a second (response rate limiting).
    """

    hops: int = 0
    ttl: int = 64
    slow: dict[str, float] = field(default_factory=dict)
    rotate: bool = False
    truncate: bool = False
    missing: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    ttls: tuple[int, ...] = ()
    rate: int = 0

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:
        if not isinstance(packet.header, Udp):
            return
        try:
            asked = dns.decode(packet.payload)
        except MalformedPacket:
            return
        name = asked.questions[0].name
        if name in self.ignores or not self._may(net, name, memory):
            return
        number = memory["answers"] = memory.get("answers", 0) + 1
        address = f"203.0.113.{1 + number % 4 if self.rotate else 7}"
        absent = name in self.missing
        records = [] if self.truncate or absent else [dns.record(name, dns.A, address)]
        rcode = dns.NXDOMAIN if absent else dns.NOERROR
        message = dns.encode(dns.answer(asked, records, rcode, truncated=self.truncate))
        ttl = self.ttls[flow.port % len(self.ttls)] if self.ttls else self.ttl
        header = Udp(packet.header.destination_port, packet.header.source_port, 8 + len(message))
        back = reply(packet, ttl, header, message, net.random.randrange(1, 65536))
        net.inward(flow, back, net.back(flow), net.now + self.slow.get(name, 0.0), behind=net.distance(flow))

    def _may(self, net: Internet, name: str, memory: dict[Any, Any]) -> bool:
        recent = [when for when in memory.get(name, ()) if net.now - when < 1.0]
        memory[name] = [*recent, net.now]
        return not self.rate or len(recent) < self.rate
