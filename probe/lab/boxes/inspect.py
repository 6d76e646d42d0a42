"""What looks into packets: DNS injectors, reset injectors, silent droppers, block pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from probe.lab.boxes import Emit, fill
from probe.lab.boxes.flows import Flow, answering, flow_of
from probe.lab.kinds import BlockPage, DnsInjector, Drop, ResetInjector
from probe.lab.kinds.base import Where
from probe.model.errors import MalformedPacket
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import dns, http, tls

_TTL, _IDENT = (48, 250), (1, 65535)
_FLAGS = {"R": Flags.RST, "RA": Flags.RST | Flags.ACK, "FA": Flags.FIN | Flags.ACK}
_MASK = 0xFFFFFFFF


def forbidden(payload: bytes, words: tuple[str, ...], where: tuple[Where, ...]) -> bool:
    """Whether the start of a stream names a host that contains one of the words."""
    name = None
    try:
        if "sni" in where and payload[:1] == b"\x16":
            name = tls.server_name(payload)
        elif "host" in where and re.match(rb"[A-Z]{3,7} ", payload):
            name = http.host(payload)
    except MalformedPacket:
        return False
    return name is not None and any(word in name.lower() for word in words)


class DnsForger:
    """What :class:`DnsInjector` is."""

    def __init__(self, spec: DnsInjector, random: Random) -> None:
        self._spec = spec
        self._random = random
        self._types = {dns.A: spec.answer, dns.AAAA: spec.answer6}
        self._wanted = {{"A": dns.A, "AAAA": dns.AAAA}[qtype] for qtype in spec.qtypes}
        self.in_path = spec.in_path

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
        header = packet.header
        if not upstream or not isinstance(header, Udp) or header.destination_port != 53:
            return True
        try:
            query = dns.decode(packet.payload)
        except MalformedPacket:
            return True
        if query.response or len(query.questions) != 1 or not self._matches(query.questions[0]):
            return True
        forged = dns.encode(self._answer(query))
        for _ in range(self._spec.copies):
            ttl = fill(self._spec.ttl, packet.ttl, self._random, *_TTL)
            ident = fill(self._spec.ip_id, packet.ident or 0, self._random, *_IDENT)
            answer = answering(packet, Udp(53, header.source_port, 0), forged, ttl, ident)
            emit(answer, upstream=False, delay=self._spec.delay)
        return not self.in_path

    def _matches(self, question: dns.Question) -> bool:
        name = question.name.lower()
        return question.qtype in self._wanted and any(
            name == word or name.endswith("." + word) for word in self._spec.names
        )

    def _answer(self, query: dns.Message) -> dns.Message:
        if self._spec.answer == "nxdomain":
            return dns.answer(query, (), dns.NXDOMAIN)
        question = query.questions[0]
        return dns.answer(query, (dns.record(question.name, question.qtype, self._types[question.qtype]),))


class Resetter:
    """What :class:`ResetInjector` is."""

    def __init__(self, spec: ResetInjector, random: Random) -> None:
        self._spec = spec
        self._random = random
        self.in_path = spec.in_path

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
        header = packet.header
        if not upstream or not isinstance(header, Tcp) or not packet.payload:
            return True
        if not forbidden(packet.payload, self._spec.words, self._spec.where):
            return True
        behind = (header.sequence + len(packet.payload)) & _MASK
        for copy in range(self._spec.copies):
            if "client" in self._spec.to:
                self._send(packet, header.acknowledgement + copy * self._spec.step, behind, False, emit)
            if "server" in self._spec.to:
                start = header.sequence if self.in_path else behind
                self._send(packet, start + copy * self._spec.step, header.acknowledgement, True, emit)
        return not self.in_path

    def _send(self, packet: Packet, sequence: int, acknowledgement: int, upstream: bool, emit: Emit) -> None:
        header = packet.header
        assert isinstance(header, Tcp)  # noqa: S101 - told to mypy; see() has looked
        flags = _FLAGS[self._spec.flags]
        source, destination = header.source_port, header.destination_port
        if not upstream:
            source, destination = destination, source
        known = acknowledgement if flags & Flags.ACK else 0
        forged = Tcp(source, destination, sequence & _MASK, known, flags, self._spec.window)
        ttl = fill(self._spec.ttl, packet.ttl, self._random, *_TTL)
        ident = fill(self._spec.ip_id, packet.ident or 0, self._random, *_IDENT)
        reply = answering(packet, forged, b"", ttl, ident)
        if upstream:
            reply = _turned(reply)
        emit(reply, upstream=upstream, delay=self._spec.delay)


def _turned(packet: Packet) -> Packet:
    return Packet(
        packet.version, packet.destination, packet.source, packet.ttl, packet.protocol, 0, packet.ident,
        header=packet.header, payload=packet.payload,
    )


class PageForger:
    """What :class:`BlockPage` is."""

    def __init__(self, spec: BlockPage, random: Random) -> None:
        self._spec = spec
        self._random = random
        self._held: set[Flow] = set()
        self.in_path = spec.in_path

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
        header = packet.header
        if not isinstance(header, Tcp):
            return True
        flow = flow_of(packet, header, upstream)
        if upstream and packet.payload and forbidden(packet.payload, self._spec.words, ("host",)):
            self._answer(packet, header, emit)
            self._held.add(flow)
            return not self.in_path
        if header.flags & Flags.SYN:
            self._held.discard(flow)
        return not (self.in_path and flow in self._held)  # the server must never hear of the rest of this flow

    def _answer(self, packet: Packet, header: Tcp, emit: Emit) -> None:
        body = self._spec.body.encode()
        head = f"HTTP/1.1 {self._spec.status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        flags = Flags.FIN | Flags.PSH | Flags.ACK
        acknowledgement = (header.sequence + len(packet.payload)) & _MASK
        forged = Tcp(header.destination_port, header.source_port, header.acknowledgement, acknowledgement, flags, 229)
        ttl = fill(self._spec.ttl, packet.ttl, self._random, *_TTL)
        ident = fill(self._spec.ip_id, packet.ident or 0, self._random, *_IDENT)
        emit(answering(packet, forged, head.encode() + b"Connection: close\r\n\r\n" + body, ttl, ident), upstream=False)


class Swallower:
    """What :class:`Drop` is."""

    in_path = True

    def __init__(self, spec: Drop, now: Callable[[], float]) -> None:
        self._spec = spec
        self._now = now
        self._until: dict[Flow, float] = {}

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:  # noqa: ARG002 - it says nothing
        header = packet.header
        if not isinstance(header, Tcp):
            return True
        flow = flow_of(packet, header, upstream)
        if self._spec.tuple_size == 3:
            flow = (flow[0], 0, flow[2], flow[3])
        now = self._now()
        if upstream and packet.payload and forbidden(packet.payload, self._spec.words, self._spec.where):
            self._until[flow] = now + self._spec.residual
            return False
        return self._until.get(flow, now) <= now
