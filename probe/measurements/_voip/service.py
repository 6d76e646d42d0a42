"""Services by name: what their calls need, apart from what their chat needs. Addresses come from a dated list."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from random import Random
from typing import Literal, get_args

import msgspec

from probe.measurements import Part
from probe.measurements._dns.queries import Asker, replies
from probe.measurements._tcp.triggers import react
from probe.measurements._voip.call import WAITS
from probe.model.errors import MalformedPacket, UsageError
from probe.model.exchange import Exchange, Step, TcpStep, UdpStep
from probe.wire import dns, sip, stun, tls

Kind = Literal["tls", "tcp", "stun", "turn", "sip", "udp"]
Side = Literal["chat", "calls"]
_USUAL: dict[Kind, int] = {"tls": 443, "tcp": 443, "stun": 3478, "turn": 3478, "sip": 5060, "udp": 3478}
TRIES = 5
_ATTEMPTS = 4


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint: ``kind`` of handshake, ``host`` (the name in TLS, or to resolve), ``address``, ``port``."""

    kind: Kind
    host: str
    address: str
    port: int

    @property
    def datagrams(self) -> bool:
        """Whether it speaks UDP."""
        return self.kind not in ("tls", "tcp")

    def __str__(self) -> str:
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.kind}:{self.host + '@' if self.host else ''}{where}:{self.port}"


class Asked(msgspec.Struct, frozen=True):
    """How an endpoint answered. ``part``: of chat or of calls. ``again``: the same, asked after all else."""

    endpoint: Endpoint
    part: Side
    made: int
    answered: int
    again: bool = False


def endpoint(text: str) -> Endpoint:
    """An endpoint from ``kind:host@address:port``. Host, ``_`` or port may be left out: ``stun:198.51.100.7``,
    ``tls:chat.example`` (the resolver is asked), ``tls:chat.example@[2001:db8::1]:443``. Raises UsageError."""
    kind, colon, rest = text.partition(":")
    kinds = next((k for k in get_args(Kind) if k == kind), None)
    if not colon or kinds is None:
        raise UsageError(f"{text!r} is no endpoint: KIND:HOST@ADDRESS:PORT, KIND one of {', '.join(get_args(Kind))}")
    host, at, where = rest.rpartition("@")
    if where.startswith("["):
        inside, closed, after = where[1:].partition("]")
        port = after.removeprefix(":") if closed else "?"
    else:
        inside, _, port = where.partition(":")
    try:
        number = int(port) if port else _USUAL[kinds]
    except ValueError:
        number = 0
    address = inside if _is_address(inside) else ""
    name = host if at else "" if address else inside
    if not 0 < number < 65536 or not (address or name) or (at and not address):
        raise UsageError(f"{text!r} is no endpoint: KIND:HOST@ADDRESS:PORT")
    return Endpoint(kinds, name, str(ipaddress.ip_address(address)) if address else "", number)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def resolve(endpoints: Sequence[Endpoint], resolver: str, six: bool, random: Random) -> Part[list[Endpoint]]:
    """Endpoints with addresses: those without are asked of the resolver; those it knows nothing of are left out.

    Raises UsageError where a name needs a resolver and there is none.
    """
    names = sorted({e.host for e in endpoints if not e.address})
    if names and not resolver:
        raise UsageError(f"{names[0]} needs an address, or a resolver to ask for it")
    asker = Asker(random, 53)
    known: dict[str, str] = {}
    for attempt in range(_ATTEMPTS):
        missing = [name for name in names if name not in known]
        if not missing:
            break
        steps: list[Step] = [asker.ask(name, resolver, flow=f"resolve{attempt}.{name}") for name in missing]
        for name, exchange in zip(missing, (yield steps), strict=True):
            for reply in replies(exchange):
                found = [said.partition(" ") for said in sorted(reply.says)]
                addresses = [address for kind, _, address in found if kind == str(dns.A)]
                known |= {name: addresses[0]} if addresses else {}
    filled = [msgspec.structs.replace(e, address=e.address or known.get(e.host, "")) for e in endpoints]
    return [e for e in filled if e.address and (":" in e.address) == six]


def ask(endpoints: Sequence[tuple[Side, Endpoint]], random: Random, again: bool) -> Part[list[Asked]]:
    """Each endpoint :data:`TRIES` times, side by side; datagrams that get no answer are sent again."""
    tries = [(i, n) for n in range(TRIES) for i in range(len(endpoints))]
    requests = {(i, n): _request(endpoints[i][1], random) for i, n in tries}
    answered: set[tuple[int, int]] = set()
    mark = "again" if again else "first"
    for number, wait in enumerate(WAITS):
        waiting = [t for t in tries if t not in answered and (endpoints[t[0]][1].datagrams or not number)]
        if not waiting:
            break
        steps = [_step(endpoints[i][1], requests[i, n], f"service{mark}{i}.{n}", wait) for i, n in waiting]
        for one, exchange in zip(waiting, (yield steps), strict=True):
            if answers(endpoints[one[0]][1], requests[one], exchange):
                answered.add(one)
    return [
        Asked(one, part, TRIES, sum((i, n) in answered for n in range(TRIES)), again)
        for i, (part, one) in enumerate(endpoints)
    ]


def _request(one: Endpoint, random: Random) -> bytes:
    if one.kind == "tls":
        return tls.client_hello(one.host, random.randbytes(32), random.randbytes(32), random.randbytes(32))
    if one.kind == "turn":
        return stun.allocate_request(random.randbytes(12))
    if one.kind == "sip":
        return sip.request("OPTIONS", one.address, random.randbytes(12).hex(), sip.Client("192.168.1.100"))
    return b"" if one.kind == "tcp" else stun.binding_request(random.randbytes(12))


def _step(one: Endpoint, request: bytes, flow: str, wait: float) -> Step:
    if one.datagrams:
        return UdpStep(address=one.address, port=one.port, payload=request, flow=flow, wait=wait)
    return TcpStep(address=one.address, port=one.port, payload=request, connect_wait=4.0, wait=4.0, linger=0.05)


def answers(one: Endpoint, request: bytes, exchange: Exchange) -> bool:
    """Whether the endpoint spoke: a response to the transaction, a first record of TLS, an open port; for ``udp``, any
    datagram at all."""
    if one.kind == "tcp":
        return exchange.synack is not None and not exchange.failure
    if one.kind == "tls":
        return react(exchange).stream()[:1] in (b"\x16", b"\x15")
    return any(_fits(one, request, h.packet.payload) for h in exchange.answers)


def _fits(one: Endpoint, request: bytes, reply: bytes) -> bool:
    if one.kind == "udp":
        return True
    try:
        if one.kind == "sip":
            return sip.decode(reply).status > 0
        return stun.decode(reply).transaction == request[8:20]
    except MalformedPacket:
        return False
