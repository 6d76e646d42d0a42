"""Calls to the reflector: what is said, how often it is said again, and whether the answer is one.

A call of SIP over UDP is a REGISTER and, once that is answered, an INVITE on the same flow; over TCP an INVITE; over
TLS a ClientHello. Requests over UDP are sent again as softphones do (RFC 3261, 17.1.2.2; RFC 8489, 6.2.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from random import Random

import msgspec

from probe.measurements import Part
from probe.measurements._tcp.triggers import react
from probe.measurements._voip.grid import Protocol
from probe.model.errors import MalformedPacket
from probe.model.exchange import FULL_TTL, Exchange, Step, TcpStep, UdpStep
from probe.model.packet import Icmp
from probe.model.reflector import Received, Transfer
from probe.wire import reflector as far
from probe.wire import sip, stun, tls

WAITS = (0.5, 1.0, 2.0, 2.0)
"""Seconds after each sending: T1 = RTO = 0.5 s, doubled, and then as long again as the slowest line needs."""
OVER_TCP: frozenset[Protocol] = frozenset(("sip_tcp", "sip_tls"))
_CONNECT, _SPEAK = 4.0, 4.0
_ORDER = Transfer(kilobytes=1, seconds=1)
_SOFTPHONE = {4: "192.168.1.100", 6: "fd00::100"}
"""What a softphone behind a NAT takes for its own address. Not the probe's: that never leaves it."""
_ACCEPT = "application/sdp, text/plain"  # a copy in plain text: copies that are alike keep evidence small


class Call(msgspec.Struct, frozen=True):
    """One call: to a well-known port or not, real or the twin with every bit flipped. ``number`` tells flows apart."""

    protocol: Protocol
    port: int
    known: bool
    twin: bool
    number: int

    @property
    def flow(self) -> str:
        """Name of its UDP flow."""
        return f"{self.protocol}{'k' if self.known else 'r'}{'t' if self.twin else ''}{self.number}"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """How a call went. ``payload``: the last request, as sent; ``method``: its name. ``rejected``: the address that
    refused it by ICMP. ``received``: the far end's copy of it."""

    call: Call
    answered: bool
    payload: bytes
    method: str
    sendings: int = 1
    round_trip: float | None = None
    ttl: int | None = None
    rejected: str = ""
    received: Received | None = None


class Caller:
    """Speaks to one reflector at ``address`` with its ``token``; draws nonces so that no two messages are alike."""

    def __init__(self, address: str, token: bytes, random: Random) -> None:
        self.address, self._token = address, token
        self._nonce = random.randrange(65536)
        self._client = sip.Client(_SOFTPHONE[6 if ":" in address else 4])
        # Once for all calls: what differs from call to call costs room in the evidence, and no filter asks for it.
        once = hashlib.sha512(token).digest() + hashlib.sha256(token).digest()
        self._session = 1 << 30 | int.from_bytes(once[76:], "big") % (1 << 30)  # always of ten digits
        self._secrets = (once[:32], once[32:44], once[44:76])

    def token(self) -> bytes:
        """The token, with a nonce of its own."""
        self._nonce += 1
        return far.with_nonce(self._token, self._nonce)

    def requests(self, call: Call) -> list[tuple[str, bytes]]:
        """(method, payload) of each request of a call, in order; each is made anew."""
        return [(method, self.request(call, method)) for method in _METHODS[call.protocol]]

    def request(self, call: Call, method: str) -> bytes:
        """One request, as it is sent."""
        payload = self._payload(call, method)
        return far.twin(payload) if call.twin else payload

    def _payload(self, call: Call, method: str) -> bytes:
        if method == "Binding":
            return stun.binding_request(self.token())
        if method == "Allocate":
            return stun.allocate_request(self.token())
        if method == "ClientHello":
            random, filling, key = self._secrets
            return tls.client_hello("sip.example", random, far.session_id(self.token(), _ORDER, filling), key)
        call_id = far.call_id(self.token(), self._client.address.replace(":", "."))
        transport: sip.Transport = "TCP" if call.protocol == "sip_tcp" else "UDP"
        if method == "REGISTER":
            return sip.request("REGISTER", self.address, call_id, self._client, transport=transport, accept=_ACCEPT)
        body = sip.session(self._client, 7078, self._session)
        return sip.request(
            "INVITE", self.address, call_id, self._client, transport=transport, body=body, accept=_ACCEPT
        )

    def dial(self, calls: Sequence[Call]) -> Part[list[Said]]:
        """Make calls over UDP side by side, in the order given; requests that get no answer are sent again."""
        said: dict[Call, Said] = {}
        for stage in range(max((len(_METHODS[call.protocol]) for call in calls), default=0)):
            asking = {
                call: requests[stage]
                for call in calls
                if (call not in said or said[call].answered) and len(requests := self.requests(call)) > stage
            }
            said |= yield from self._ask(asking)
        return [said[call] for call in calls]

    def _ask(self, asking: dict[Call, tuple[str, bytes]]) -> Part[dict[Call, Said]]:
        done: dict[Call, Said] = {}
        for number, wait in enumerate(WAITS, 1):
            waiting = [call for call in asking if call not in done or not done[call].answered]
            if not waiting:
                break
            linger = 0.15  # for an INVITE's further answers
            steps: list[Step] = [
                UdpStep(
                    address=self.address, port=call.port, payload=asking[call][1], flow=call.flow, wait=wait,
                    linger=linger if asking[call][0] == "INVITE" else 0.0,
                )
                for call in waiting
            ]  # fmt: skip
            for call, exchange in zip(waiting, (yield steps), strict=True):
                method, payload = asking[call]
                done[call] = _read_datagrams(call, method, payload, number, exchange)
        return done

    def connect(self, calls: Sequence[Call]) -> Part[list[Said]]:
        """Make calls over TCP side by side: the kernel sends again by itself."""
        asked = [self.requests(call)[0] for call in calls]
        steps: list[Step] = [self.connection(call, payload) for call, (_, payload) in zip(calls, asked, strict=True)]
        exchanges = yield steps
        return [
            _read_stream(call, method, payload, exchange)
            for call, (method, payload), exchange in zip(calls, asked, exchanges, strict=True)
        ]

    def connection(
        self, call: Call, payload: bytes, ttl: int = FULL_TTL, path: tuple[int, ...] = (), wait: float = _SPEAK
    ) -> TcpStep:
        """A connection that says ``payload``."""
        return TcpStep(
            address=self.address, port=call.port, payload=payload, ttl=ttl, path=path, wait=wait,
            connect_wait=_CONNECT, linger=0.05,
        )  # fmt: skip


_METHODS: dict[Protocol, tuple[str, ...]] = {
    "sip": ("REGISTER", "INVITE"), "sip_tcp": ("INVITE",), "sip_tls": ("ClientHello",), "stun": ("Binding",),
    "turn": ("Allocate",),
}  # fmt: skip


def answers(call: Call, payload: bytes, reply: bytes) -> bool:
    """Whether ``reply`` answers ``payload`` as the protocol wants it (both as they were on the line)."""
    if call.twin:
        payload, reply = far.twin(payload), far.twin(reply)
    if call.protocol == "sip_tls":
        return bool(reply)
    try:
        if call.protocol in ("stun", "turn"):
            asked, said = stun.decode(payload), stun.decode(reply)
            return said.kind in ("success", "error") and (said.method, said.transaction) == (
                asked.method, asked.transaction,
            )  # fmt: skip
        size = sip.size(reply)
        if size is None or size > len(reply):
            return False
        # The token alone: a gateway may have rewritten what stands behind it.
        asked_id, said_id = (far.token_of_text(sip.decode(one).get(b"call-id")) for one in (payload, reply))
        return sip.decode(reply).status > 0 and said_id == asked_id
    except MalformedPacket:
        return False


def belongs(payload: bytes, reply: bytes) -> bool:
    """Whether a datagram repeats another's token: on one flow, late answers to earlier requests come in as well."""
    return any(_token(turn(payload)) == _token(turn(reply)) for turn in (bytes, far.twin))


def _token(payload: bytes) -> bytes | None:
    return next((token for _, token in far.candidates(payload)), None)


def _read_datagrams(call: Call, method: str, payload: bytes, sendings: int, exchange: Exchange) -> Said:
    replies = [h for h in exchange.answers if answers(call, payload, h.packet.payload)]
    return Said(
        call=call, answered=bool(replies), payload=payload, method=method, sendings=sendings,
        round_trip=replies[0].at - (exchange.sent_at or 0.0) if replies else None,
        ttl=replies[0].packet.ttl if replies else None,
        rejected=_rejected(exchange),
        received=copy(call, (h.packet.payload for h in replies)),
    )  # fmt: skip


def _read_stream(call: Call, method: str, payload: bytes, exchange: Exchange) -> Said:
    reaction = react(exchange)
    stream = reaction.stream()
    return Said(
        call=call, answered=answers(call, payload, stream), payload=payload, method=method,
        round_trip=reaction.round_trip, ttl=reaction.synack_ttl, rejected=_rejected(exchange),
        received=copy(call, _messages(far.twin(stream) if call.twin else stream)),
    )  # fmt: skip


def _messages(stream: bytes) -> Iterable[bytes]:
    """The SIP messages of a stream, as far as they are whole."""
    while stream:
        try:
            size = sip.size(stream)
        except MalformedPacket:
            return
        if size is None or size > len(stream):
            return
        yield stream[:size]
        stream = stream[size:]


def copy(call: Call, replies: Iterable[bytes]) -> Received | None:
    """The far end's copy of a real request of SIP, from the body of its answer; None where there is none."""
    if call.twin or call.protocol not in ("sip", "sip_tcp"):
        return None
    for reply in replies:
        try:
            body = sip.decode(reply).body
            if body:
                return far.read_received(body)
        except MalformedPacket:
            continue
    return None


def _rejected(exchange: Exchange) -> str:
    """Who refused by ICMP (other than by time exceeded), "" if nobody."""
    for heard in exchange.errors:
        header, six = heard.packet.header, heard.packet.version == 6
        if isinstance(header, Icmp) and header.type == (1 if six else 3):
            return heard.packet.source
    return ""
