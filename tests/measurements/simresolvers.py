"""Resolvers of the simulated network that know a zone, lie, filter or rewrite; and those who answer in their place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from probe.model.errors import MalformedPacket
from probe.model.packet import Icmp, Packet, Udp
from probe.wire import dns
from tests.measurements.simclients import Client
from tests.measurements.simfar import EPOCH, FAR, Far
from tests.measurements.simnet import Internet, Passing, reply

GOOD, BANNED_AT, OWN_EDGE, PAGE_AT = "203.0.113.180", "203.0.113.10", "203.0.113.11", "198.51.100.99"
ZONE: dict[str, tuple[str, ...]] = {"good.example": (GOOD,), "banned.example": (BANNED_AT,)}
_CODES = {"nxdomain": dns.NXDOMAIN, "refused": dns.REFUSED, "servfail": dns.SERVFAIL, "empty": dns.NOERROR}


@dataclass(frozen=True, kw_only=True)
class Knows:
    """A resolver. ``zone``: name → addresses; all else does not exist.

    ``lies``: name → an address, or what it says instead ("nxdomain", "refused", "servfail", "empty", "" is silence);
    ``deep``: they hold for all below the name as well. ``rewrite``: address for what does not exist. ``soa``: negative
    answers bear the record of the zone ``example``, whose first server is called ``server``; ``claims``: it says
    that its lies are its own zone. ``shares``: it lies in so many of its answers (one of several machines).
    ``strangers``: it refuses everybody. ``ttl``: initial IP TTL. ``slow``: seconds that it takes. ``asks_as``:
    address by which it asks the reflector's own name server, if there is one. ``closes``: it says so where nothing
    listens.
    """

    zone: dict[str, tuple[str, ...]] = field(default_factory=lambda: ZONE)
    lies: dict[str, str] = field(default_factory=dict)
    deep: bool = True
    rewrite: str = ""
    soa: bool = False
    server: str = "ns"
    claims: bool = False
    shares: float = 1.0
    strangers: bool = False
    truncate: bool = False
    dead_after: int = 0
    asks_as: str = ""
    slow: float = 0.0
    closes: bool = True
    hops: int = 0
    ttl: int = 64

    def says(self, net: Internet, query: dns.Message) -> dns.Message | None:
        """The answer, None: silence."""
        question = query.questions[0]
        name = question.name.lower()
        if self.strangers:
            return dns.answer(query, rcode=dns.REFUSED)
        if name.endswith(".r.example"):
            return self._whoami(net, query)
        if question.qtype == dns.SOA:
            own = name == "example"
            if not self.soa:
                return dns.answer(query)
            return dns.answer(query, [self._soa()] if own else [], authority=[] if own else [self._soa()])
        lie = self._lie(name) if net.random.random() < self.shares else None
        if lie == "":
            return None
        if lie in _CODES:
            authority = [self._soa()] if self.soa else []
            return dns.answer(query, rcode=_CODES[lie], authority=authority, authoritative=self.claims)
        addresses = (lie,) if lie is not None else self.zone.get(name)
        if addresses is None and self.rewrite:
            addresses = (self.rewrite,)
        if addresses is None:
            return dns.answer(query, rcode=dns.NXDOMAIN, authority=[self._soa()] if self.soa else [])
        fitting = [a for a in addresses if (":" in a) == (question.qtype == dns.AAAA)]
        if self.truncate:
            return dns.answer(query, truncated=True)
        return dns.answer(query, [dns.record(question.name, question.qtype, a) for a in fitting])

    def _whoami(self, net: Internet, query: dns.Message) -> dns.Message:
        address = FAR[net.network.version]
        far = net.network.hosts.get(address)
        if not isinstance(far, Far) or not self.asks_as:
            return dns.answer(query, rcode=dns.SERVFAIL)
        return far.core(net.memory_of(address)).zone.answer(query, self.asks_as, "udp", EPOCH + net.now)

    def _soa(self) -> dns.Record:
        data = bytes((len(self.server),)) + self.server.encode() + b"\x07example\x00" + b"\x04root\x00" + bytes(20)
        return dns.Record("example", dns.SOA, dns.IN, 300, data)

    def _lie(self, name: str) -> str | None:
        for word, lie in self.lies.items():
            if name == word or (self.deep and name.endswith("." + word)):
                return lie
        return None

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:
        if isinstance(packet.header, Udp) and packet.header.destination_port != 53 and self.closes:
            six = packet.version == 6
            error = Icmp(1 if six else 3, 4 if six else 3, quoted=packet)
            refusal = Packet(
                version=packet.version, source=packet.destination, destination=packet.source, ttl=self.ttl,
                protocol=58 if six else 1, length=56, header=error,
            )  # fmt: skip
            net.inward(flow, refusal, net.back(flow), net.now, behind=net.distance(flow))
            return
        answer = self.answer(net, packet, memory)
        if answer is not None and isinstance(packet.header, Udp):
            header = Udp(packet.header.destination_port, packet.header.source_port, 8 + len(answer))
            back = reply(packet, self.ttl, header, answer, net.random.randrange(1, 65536))
            net.inward(flow, back, net.back(flow), net.now + self.slow, behind=net.distance(flow))

    def answer(self, net: Internet, packet: Packet, memory: dict[Any, Any]) -> bytes | None:
        """Bytes of the answer to a datagram; None where there is none."""
        if not isinstance(packet.header, Udp) or packet.header.destination_port != 53:
            return None
        try:
            query = dns.decode(packet.payload)
        except MalformedPacket:
            return None
        memory["asked"] = memory.get("asked", 0) + 1
        if self.dead_after and memory["asked"] > self.dead_after:
            return None
        said = self.says(net, query)
        return None if said is None else dns.encode(said)


@dataclass(frozen=True, kw_only=True)
class Diverted:
    """Sends every query to ``resolver``, which is ``to`` hops away, and lets its answers seem to come from whoever was
    asked (``only``: towards that address alone). ``spares``: addresses that it leaves alone."""

    at: int
    resolver: Knows
    to: int
    only: str = ""
    spares: tuple[str, ...] = ()

    def act(self, passing: Passing) -> bool:
        header, packet = passing.packet.header, passing.packet
        if not isinstance(header, Udp) or header.destination_port != 53 or passing.flow.address in self.spares:
            return False
        left = self.to - self.at
        if packet.ttl - 1 < left:
            hop = passing.hop + packet.ttl - 1
            passing.net.at(passing.when, lambda: passing.net.error(passing.flow, packet, hop, 11))
            return True
        answer = self.resolver.answer(passing.net, packet, passing.memory)
        if answer is not None:
            back = reply(
                packet, self.resolver.ttl, Udp(53, header.source_port, 8 + len(answer)), answer,
                passing.net.random.randrange(1, 65536),
            )  # fmt: skip
            passing.net.inward(passing.flow, back, self.to - 1, passing.when + left * passing.net.network.delay)
        return True

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002
        return False
