"""One probe towards an address, and who showed up: itself, a router on which it died, or one that refused it."""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.measurements._judge import hops_away
from probe.model.exchange import FULL_TTL, EchoStep, Exchange, Step, SynStep, UdpStep
from probe.model.packet import Flags, Icmp, Tcp

_UDP_PORT = 33434  # where traceroute begins: nothing listens there, so that a host says "port unreachable"
_EXCEEDED = {4: 11, 6: 3}
_UNREACHABLE = {4: 3, 6: 1}
_TOO_BIG = 4  # a code of IPv4's unreachable that is about the packet's size, not about the way (RFC 1191)
_PATIENCE = (1.0, 3.0)  # seconds: a path that is slower than the second is no use to anybody

Answer = Literal["", "open", "closed", "reply"]
"""By the address itself: nothing, SYN-ACK, RST, or another sign of life (echo reply, port unreachable)."""


class Probe(msgspec.Struct, frozen=True, order=True):
    """A kind of probe; ``port`` is 0 for ICMP."""

    kind: Literal["icmp", "tcp", "udp"]
    port: int = 0

    @property
    def text(self) -> str:
        """For a person: TCP port 443, UDP, ICMP."""
        return f"TCP port {self.port}" if self.kind == "tcp" else self.kind.upper()


ICMP, UDP = Probe("icmp"), Probe("udp", _UDP_PORT)


def tcp(port: int) -> Probe:
    """A bare SYN to a port."""
    return Probe("tcp", port)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one probe showed.

    ``router``: whose ICMP time exceeded quotes it. ``refused``: (who, ICMP code) of an ICMP unreachable that did not
    come from the address itself. ``round_trip``: seconds; ``hops``: routers that the address's own answer has crossed.
    """

    probe: Probe
    ttl: int
    answer: Answer = ""
    router: str = ""
    refused: tuple[str, int] | None = None
    round_trip: float | None = None
    hops: int | None = None

    @property
    def dead(self) -> bool:
        """Nothing came back at all."""
        return not (self.answer or self.router or self.refused)


def step(probe: Probe, address: str, flow: str, ttl: int = FULL_TTL, wait: float = 1.0) -> Step:
    """The probe as a step. All of one flow are hashed alike (Paris): a datagram's two halves keep its checksum."""
    if probe.kind == "tcp":
        return SynStep(address=address, port=probe.port, ttl=ttl, flow=flow, wait=wait)
    if probe.kind == "icmp":
        return EchoStep(address=address, ttl=ttl, flow=flow, wait=wait)
    payload = bytes((ttl, 255 - ttl)) + b"colibri!"
    return UdpStep(address=address, port=probe.port, payload=payload, ttl=ttl, flow=flow, wait=wait)


def read(probe: Probe, exchange: Exchange) -> Sight:
    """What came back for a :func:`step`: the address's own answer counts before what routers say."""
    made = exchange.step
    ttl = made.ttl if isinstance(made, SynStep | EchoStep | UdpStep) else FULL_TTL
    router, refused = "", None
    for heard in exchange.heard:
        packet, header = heard.packet, heard.packet.header
        if heard.outgoing:
            continue
        quoted = header.quoted if isinstance(header, Icmp) else None
        error = header if isinstance(header, Icmp) and quoted is not None else None
        if error is not None and error.type == _EXCEEDED[packet.version]:
            router = router or packet.source
            continue
        after = None if exchange.sent_at is None else heard.at - exchange.sent_at
        if error is None or quoted is None or packet.source == quoted.destination:
            kind: Answer = "reply"
            if isinstance(header, Tcp):
                kind = "open" if header.flags & Flags.SYN else "closed"
            return Sight(probe=probe, ttl=ttl, answer=kind, router=router, refused=refused, round_trip=after,
                         hops=hops_away(packet.ttl))  # fmt: skip
        if error.type == _UNREACHABLE[packet.version] and not (packet.version == 4 and error.code == _TOO_BIG):
            refused = refused or (packet.source, error.code)
    return Sight(probe=probe, ttl=ttl, router=router, refused=refused)


def patience(sights: list[Sight], usual: float = 0.0) -> float:
    """Seconds to wait for an answer: four times the slowest round trip so far, or what is usual here, within reason."""
    slowest = max((s.round_trip for s in sights if s.round_trip is not None), default=_PATIENCE[0] / 4)
    return min(max(4 * slowest, usual, _PATIENCE[0]), _PATIENCE[1])
