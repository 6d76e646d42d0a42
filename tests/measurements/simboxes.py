"""Boxes on the way: forgers, resetters, droppers, forged pages, and filters inside the home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from probe.model.errors import MalformedPacket
from probe.model.packet import Packet, Tcp, Udp
from probe.wire import dns
from tests.measurements.simclients import Client
from tests.measurements.simhosts import HELLO, PAGE, named
from tests.measurements.simnet import ACK, FIN, PSH, RST, SYN, Internet, Passing

Ttl = int | Literal["random", "mirror", "like"]
"""Initial TTL: a number; drawn anew; copied from the packet; or such that it arrives with the host's own."""


def initial(rule: Ttl, passing: Passing) -> int:
    """An initial TTL by that rule."""
    if rule == "random":
        return passing.net.random.randrange(30, 256)
    if rule == "mirror":
        return passing.packet.ttl
    if rule == "like":
        host: Any = passing.net.network.hosts.get(passing.flow.address)
        return (host.ttl if host else 64) - passing.net.back(passing.flow) + passing.hop - 1
    return rule


@dataclass(frozen=True, kw_only=True)
class _Box:
    at: int
    only: str = ""
    in_path: bool = False
    probability: float = 1.0
    ttl: Ttl = 64
    copies: int = 1
    delay: float = 0.0

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002 - the default of all boxes
        """Nothing, unless a kind of box says otherwise."""
        return False

    def strikes(self, passing: Passing) -> bool:
        """Whether the box is awake."""
        return self.probability >= 1 or passing.net.random.random() < self.probability


@dataclass(frozen=True, kw_only=True)
class DnsForger(_Box):
    """Answers queries for ``names`` ("" is any) in the resolver's place."""

    names: tuple[str, ...]
    nxdomain: bool = False
    answer: str = "198.18.0.99"

    def act(self, passing: Passing) -> bool:
        header = passing.packet.header
        if not isinstance(header, Udp) or header.destination_port != 53:
            return False
        try:
            asked = dns.decode(passing.packet.payload)
        except MalformedPacket:
            return False
        name = asked.questions[0].name
        if not ("" in self.names or name in self.names) or not self.strikes(passing):
            return False
        records = [] if self.nxdomain else [dns.record(name, dns.A, self.answer)]
        message = dns.encode(dns.answer(asked, records, dns.NXDOMAIN if self.nxdomain else dns.NOERROR))
        back = Udp(header.destination_port, header.source_port, 8 + len(message))
        for copy in range(self.copies):
            passing.answer(initial(self.ttl, passing), back, message, self.delay + copy * 0.0003)
        return self.in_path


@dataclass(frozen=True, kw_only=True)
class _Inspector(_Box):
    """Looks for ``names`` ("" is any) in the first flight of a connection.

    ``forwards``: it is a router that looks only at what it forwards (Linux: the TTL is checked before), so that a
    packet that dies on it is not seen. ``reassembles``: it puts a request together from its segments.
    ``residual``: seconds for which a flow (``size`` 4) or everything between the probe and that port of the host
    (``size`` 3) is treated like the trigger.
    """

    names: tuple[str, ...]
    forwards: bool = False
    reassembles: bool = False
    residual: float = 0.0
    size: Literal[3, 4] = 4

    def key(self, passing: Passing) -> tuple[Any, ...]:
        """What the box remembers."""
        step = passing.flow.step
        return (passing.flow.address, step.port, *((passing.flow.port,) if self.size == 4 else ()))

    def haunted(self, passing: Passing) -> bool:
        """Within the residual time of an earlier trigger."""
        return passing.flow.address != "" and bool(passing.when < passing.memory.get(self.key(passing), -1.0))

    def act(self, passing: Passing) -> bool:
        packet = passing.packet
        if not isinstance(packet.header, Tcp) or packet.header.flags & RST or (self.forwards and packet.ttl <= 1):
            return False
        haunted = self.haunted(passing)
        seen = packet.payload
        if self.reassembles and seen:
            heard: dict[int, bytes] = passing.memory.setdefault(("segments", passing.flow.port), {})
            heard[packet.header.sequence] = seen
            seen = b"".join(heard[sequence] for sequence in sorted(heard))
        name = named(seen) if packet.payload else None
        triggered = name is not None and ("" in self.names or name in self.names)
        if triggered and self.strikes(passing):
            passing.memory[self.key(passing)] = passing.when + self.residual
            return self.strike(passing, packet.header)
        return haunted and self.strike_again(passing, packet.header)

    def strike(self, passing: Passing, header: Tcp) -> bool:
        """A trigger came by."""
        raise NotImplementedError

    def strike_again(self, passing: Passing, header: Tcp) -> bool:
        """Something came by within the residual time."""
        return bool(passing.packet.payload) and self.strike(passing, header)


@dataclass(frozen=True, kw_only=True)
class Resetter(_Inspector):
    """Resets (``flags``) a connection; copy i bears the expected sequence number plus ``i * step``."""

    flags: int = RST | ACK
    step: int = 0
    to_client: bool = True
    to_server: bool = False

    def strike(self, passing: Passing, header: Tcp) -> bool:
        ahead = header.sequence + len(passing.packet.payload) & 0xFFFFFFFF
        for copy in range(self.copies if self.to_client else 0):
            sequence = header.acknowledgement + copy * self.step & 0xFFFFFFFF
            back = Tcp(header.destination_port, header.source_port, sequence, ahead, self.flags, 0)
            passing.answer(initial(self.ttl, passing), back, b"", self.delay + copy * 0.0002)
        if self.to_server:
            closing = Tcp(header.source_port, header.destination_port, ahead, 0, RST, 0)
            _towards_host(passing, closing)
        return self.in_path


@dataclass(frozen=True, kw_only=True)
class Dropper(_Inspector):
    """Swallows the trigger, and both directions for the residual time."""

    def strike(self, passing: Passing, header: Tcp) -> bool:  # noqa: ARG002 - whatever it is, it is gone
        return True

    def strike_again(self, passing: Passing, header: Tcp) -> bool:  # noqa: ARG002
        return True

    def holds_back(self, passing: Passing) -> bool:
        header = passing.packet.header
        return isinstance(header, Tcp) and self.residual > 0 and self.haunted(passing)


@dataclass(frozen=True, kw_only=True)
class Pager(_Inspector):
    """Answers a request with a page of its own, and ends the connection."""

    body: bytes = b"<html><head><title>Blocked</title></head></html>"

    def strike(self, passing: Passing, header: Tcp) -> bool:
        page = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(self.body) + self.body
        ahead = header.sequence + len(passing.packet.payload) & 0xFFFFFFFF
        flags = ACK | FIN
        back = Tcp(header.destination_port, header.source_port, header.acknowledgement, ahead, flags, 0)
        passing.answer(initial(self.ttl, passing), back, page, self.delay)
        return self.in_path


@dataclass(frozen=True, kw_only=True)
class Throttler(_Inspector):
    """Lets a connection that asked for ``names`` have ``speed`` bytes a second from then on, both ways or one way."""

    speed: float
    ways: tuple[bool, ...] = (False, True)  # upload?

    def strike(self, passing: Passing, header: Tcp) -> bool:  # noqa: ARG002
        passing.memory["slow", passing.flow.port] = True
        return False

    def rate(self, net: Internet, flow: Client, upload: bool, memory: dict[Any, Any]) -> float:  # noqa: ARG002
        """What it leaves of a flow."""
        return self.speed if upload in self.ways and ("slow", flow.port) in memory else float("inf")


@dataclass(frozen=True, kw_only=True)
class Proxy(_Box):
    """Ends every connection itself, whoever it is meant for, and answers every name."""

    def act(self, passing: Passing) -> bool:
        header, packet = passing.packet.header, passing.packet
        if not isinstance(header, Tcp) or header.flags & RST:
            return False
        key = passing.flow.port
        first = passing.memory.setdefault(key, passing.net.random.randrange(1 << 32))
        body = b""
        if header.flags & SYN:
            sequence, ahead, flags = first, header.sequence + 1, SYN | ACK
        elif packet.payload:
            body = PAGE if packet.payload[:3] == b"GET" else HELLO
            sequence, ahead, flags = first + 1, header.sequence + len(packet.payload), ACK | PSH
        else:
            return True
        back = Tcp(header.destination_port, header.source_port, sequence & 0xFFFFFFFF, ahead & 0xFFFFFFFF, flags, 65160)
        passing.answer(initial(self.ttl, passing), back, body, self.delay)
        return True


def _towards_host(passing: Passing, header: Tcp) -> None:
    """Send a segment in the probe's name on to the host."""
    net, flow, old = passing.net, passing.flow, passing.packet
    host = net.network.hosts.get(flow.address)
    if host is None:
        return
    packet = Packet(old.version, old.source, old.destination, 64, old.protocol, 40, header=header)
    left = (net.distance(flow) - passing.hop + 0.5) * net.network.delay
    net.at(passing.when + left, lambda: host.receive(net, flow, packet, net.memory_of(flow.address)))
