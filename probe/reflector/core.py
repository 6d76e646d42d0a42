"""The reflector without its sockets: datagrams and requests in, answers out."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter

import msgspec

from probe.model.errors import MalformedPacket
from probe.model.packet import Packet, Udp
from probe.model.reflector import (
    MOST_ARRIVALS,
    MOST_ARRIVALS_HTTP,
    MOST_STREAMS,
    Answer,
    Arrivals,
    Arrived,
    Asked,
    Askers,
    Echo,
    Grant,
    Hello,
    PeerQuestion,
    Received,
    Refused,
    Report,
    Reports,
    Request,
)
from probe.reflector import calls, zone
from probe.reflector.arrivals import Arrivals as Memory
from probe.reflector.copies import masked
from probe.reflector.limits import Limits
from probe.reflector.settings import Settings
from probe.reflector.streams import Streams
from probe.wire import dns, reflector, rtp
from probe.wire.reflector import Place, twin

_MOST_ANSWER = 1200  # bytes of a control datagram: what passes every path without fragments
_MOST_ECHO = 600
_CLOCKS = 120  # seconds that the clocks of two peers may differ


class Came(msgspec.Struct, frozen=True):
    """A datagram as a socket took it: ``address`` and ``port`` are this host's. ``ttl`` and ``tos`` if it was told."""

    data: bytes
    source: str
    source_port: int
    address: str
    port: int
    ttl: int | None = None
    tos: int | None = None


class Reply(msgspec.Struct, frozen=True):
    """A datagram back to where one came from."""

    data: bytes
    tos: int = 0


class Ask(msgspec.Struct, frozen=True):
    """A question to a peer, before there is an answer to send; the answer goes through :meth:`Reflector.told`."""

    address: str
    question: PeerQuestion
    token: bytes


class Reflector:
    """One reflector; ``now`` is everywhere in seconds since the epoch. ``counts``: what was done, by word."""

    def __init__(self, settings: Settings, now: float, *, raw: bool = False) -> None:
        self.settings = settings
        self.limits = Limits()
        self.streams = Streams()
        self.memory = Memory(now, complete=raw)
        self.zone = zone.Zone(settings)
        self.counts: Counter[str] = Counter()
        self._own = frozenset(settings.addresses)

    def datagram(self, came: Came, now: float) -> list[Reply | Ask]:
        """What to do about a datagram. Never raises on what it holds.

        Without a valid token in it: no bytes more than came, and mostly none at all.
        """
        self._note(came, now)
        source = reflector.source_key(came.source)
        data = came.data
        for inverted in (False, True):
            found = self._proven(data, source, now)
            if found is not None:
                return self._served(found, data, came, source, now, inverted=inverted)
            data = twin(data)
        return self._unproven(came, source, now)

    def _note(self, came: Came, now: float) -> None:
        """Where a capture runs, it has noted the datagram already."""
        if self.memory.complete:
            return
        header = Udp(came.source_port, came.port, 8 + len(came.data))
        packet = Packet(version=4, source=came.source, destination=came.address, ttl=0, protocol=17, length=0,
                        header=header, payload=came.data)  # fmt: skip
        self.arrived(packet, now)

    def arrived(self, packet: Packet, now: float) -> None:
        """A packet has arrived at this host."""
        name = reflector.arrival_id(packet)
        if name is not None:
            self.memory.note(name, self.mark(reflector.source_key(packet.source)), now)

    def mark(self, source: bytes) -> bytes:
        """A source's keyed hash, the same at all peers that share a key."""
        key = self.settings.peer_key or self.settings.secret
        return hmac.digest(key, b"colibri source" + source, hashlib.sha256)[:8]

    def _proven(self, data: bytes, source: bytes, now: float) -> Place | dns.Message | None:
        """What a datagram is whose token is good for its source; None without such a token."""
        for place, token in reflector.candidates(data):
            if reflector.valid(self.settings.secret, token, source, now):
                return place
        query = zone.question(data)
        token_asked = None if query is None else self.zone.token(query)
        if token_asked is not None and reflector.valid(self.settings.secret, token_asked, source, now):
            return query
        return None

    def _unproven(self, came: Came, source: bytes, now: float) -> list[Reply | Ask]:
        """A greeting, or a question to the zone: never more bytes than came."""
        size = len(came.data)
        reply: bytes | None = None
        if came.data.startswith(reflector.MAGIC):
            reply = self._greeting(came, source, now)
        elif (query := zone.question(came.data)) is not None:
            reply = self._zone(query, came, source, now)
        if reply is None or len(reply) > size:
            return []
        return [Reply(reply)]

    def _zone(self, query: dns.Message, came: Came, source: bytes, now: float) -> bytes | None:
        if not self.zone.covers(query.questions[0].name) or not self.limits.unproven.take(source, now):
            return None
        self.counts["zone"] += 1
        return zone.within(self.zone.answer(query, came.source, "udp", now), len(came.data))

    def _greeting(self, came: Came, source: bytes, now: float) -> bytes | None:
        try:
            token, text = reflector.unpack(came.data)
            request = reflector.parse(text)
        except MalformedPacket:
            return None
        if not isinstance(request, Hello) or not self.limits.unproven.take(source, now):
            return None
        self.counts["hello"] += 1
        return reflector.control(token, self.grant(source, now))

    def grant(self, source: bytes, now: float) -> Grant:
        """A token for a source whose address is proven by how the answer gets there."""
        settings = self.settings
        return Grant(
            token=reflector.mint(settings.secret, source, now).hex(), name=settings.name, zone=settings.zone,
            certificate=settings.certificate, udp=settings.udp, tcp=settings.tcp, random=settings.random,
            silent=settings.silent, peers=tuple(settings.peers), raw=self.memory.complete,
        )  # fmt: skip

    def _served(
        self, found: Place | dns.Message, data: bytes, came: Came, source: bytes, now: float, *, inverted: bool
    ) -> list[Reply | Ask]:
        """Answers to a source that has a token; those to a twin are twins."""
        if not self.limits.proven.take(source, now):
            self.counts["limited"] += 1
            return []
        kind = found if isinstance(found, str) else "dns"
        self.counts[f"{kind} twin" if inverted else kind] += 1
        tos = 0
        replies: list[bytes | None]
        if not isinstance(found, str):
            replies = [zone.within(self.zone.answer(found, came.source, "udp", now), _MOST_ANSWER)]
        elif found == "control":
            return self._control(data, came, source, now, inverted)
        elif found == "stun":
            replies = [calls.stun_reply(data, came.source, came.source_port, self.settings.zone)]
        elif found == "sip":
            copy = self.received(data, came.port, came.source_port, ttl=came.ttl, tos=came.tos)
            replies = [*calls.sip_replies(data, copy, came.address, came.port)]
        elif found == "quic":
            replies = [calls.quic_reply(data)]
        elif found == "rtp":
            replies = [self._rtp(data, came, source, now, inverted)]
        else:
            replies = [data]
        return [Reply(twin(one) if inverted else one, tos) for one in replies if one is not None]

    def _rtp(self, data: bytes, came: Came, source: bytes, now: float, inverted: bool) -> bytes | None:
        try:
            packet = rtp.decode(data)
        except MalformedPacket:
            return data
        stream = self.streams.note(source, packet, now, port=came.port, ttl=came.ttl, tos=came.tos, inverted=inverted)
        if stream is not None:
            stream.echoed += 1
        return data

    def received(
        self, data: bytes, port: int, source_port: int, *, ttl: int | None = None, tos: int | None = None,
        most: int = 1 << 16,
    ) -> Received:  # fmt: skip
        """A copy of what arrived, without the address that it came from."""
        text, count = masked(data, self._own)
        return Received(data=text[:most], size=len(data), masked=count, port=port, source_port=source_port, ttl=ttl,
                        tos=tos)  # fmt: skip

    def _control(self, data: bytes, came: Came, source: bytes, now: float, inverted: bool) -> list[Reply | Ask]:
        token, text = reflector.unpack(data)
        tos = 0
        answer: Answer | Ask
        try:
            request = reflector.parse(text)
        except MalformedPacket as error:
            answer = Refused(str(error)[:100])
        else:
            if isinstance(request, Echo):
                tos = request.tos
                answer = self.received(
                    data, came.port, came.source_port, ttl=came.ttl, tos=came.tos, most=_MOST_ECHO
                )
            else:
                answer = self.request(request, source, token, now)
        if isinstance(answer, Ask):
            return [answer]
        return [Reply(twin(reply) if inverted else reply, tos) for reply in [_fitting(token, answer)]]

    def request(
        self, request: Request, source: bytes, token: bytes, now: float, *, stream: bool = False
    ) -> Answer | Ask:
        """The answer to a proven source's request. ``stream``: over HTTP, where an answer may be long."""
        match request:
            case Hello():
                return self.grant(source, now)
            case Report():
                return self._report(request, source, now)
            case Arrivals():
                most = MOST_ARRIVALS_HTTP if stream else MOST_ARRIVALS
                if len(request.packets) > 8 * most:
                    return Refused(f"{most} packets at a time")
                if request.peer:
                    return self._ask(request, source, token, now)
                return self.memory.answer(request.packets, request.within, self.mark(source), now)
            case Asked():
                return Askers(self.zone.asked(request.labels, source, now))
            case PeerQuestion():
                return self._peer(request, now)
        return Refused("not by this way")

    def _report(self, request: Report, source: bytes, now: float) -> Reports:
        found = {ssrc: self.streams.report(source, ssrc, now) for ssrc in request.streams[:MOST_STREAMS]}
        return Reports(
            tuple(one for streams in found.values() for one in streams),
            tuple(ssrc for ssrc, streams in found.items() if not streams),
        )

    def _ask(self, request: Arrivals, source: bytes, token: bytes, now: float) -> Answer | Ask:
        address = self.settings.peers.get(request.peer)
        if address is None or not self.settings.peer_key:
            return Refused(f"no peer is called {request.peer[:64]!r} here")
        if not self.limits.asks.take(source, now):
            return Refused("the peer is not asked so often")
        question = PeerQuestion(packets=request.packets, within=request.within, source=self.mark(source), at=int(now))
        return Ask(address, msgspec.structs.replace(question, proof=self._proof(question)), token)

    def _proof(self, question: PeerQuestion) -> bytes:
        bare = msgspec.structs.replace(question, proof=b"")
        return hmac.digest(self.settings.peer_key, msgspec.json.encode(bare), hashlib.sha256)

    def _peer(self, question: PeerQuestion, now: float) -> Answer:
        if not self.settings.peer_key or abs(now - question.at) > _CLOCKS:
            return Refused("not a peer")
        if not hmac.compare_digest(question.proof, self._proof(question)):
            return Refused("not a peer")
        self.counts["peer"] += 1
        return self.memory.answer(question.packets, question.within, question.source, now)

    def told(self, ask: Ask, answer: Answer | None) -> Reply:
        """What to send once the peer has answered, or did not (None)."""
        return Reply(_fitting(ask.token, self.said(ask, answer)))

    @staticmethod
    def said(ask: Ask, answer: Answer | None) -> Answer:
        """The same as a message. A peer that is silent can't tell, and nothing follows from that."""
        if isinstance(answer, Arrived):
            return answer
        n = len(ask.question.packets) // 8
        why = answer.why if isinstance(answer, Refused) else "the peer did not answer"
        return Arrived(counts=(-1,) * n, yours=(0,) * n, why=why)


def _fitting(token: bytes, answer: Answer) -> bytes:
    reply = reflector.control(token, answer)
    if len(reply) <= _MOST_ANSWER:
        return reply
    return reflector.control(token, Refused("too long for a datagram: ask for less, or over HTTP"))
