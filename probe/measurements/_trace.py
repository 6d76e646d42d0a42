"""A plain path: which routers answer, what they quote back. No trigger, no accusation."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Any, Literal

import msgspec

from probe.measurements import Context, Part
from probe.measurements._judge import is_home
from probe.model.errors import UsageError
from probe.model.exchange import EchoStep, Exchange, Step, SynStep, UdpStep
from probe.model.packet import Flags, Icmp, Packet, Tcp

Protocol = Literal["tcp", "udp", "icmp"]
_UDP_PORT = 33434  # where traceroute begins: nothing listens there


class TraceHop(msgspec.Struct, frozen=True):
    """What one TTL showed: router → answers, fastest round trip in seconds, fields that a router quotes changed."""

    ttl: int
    routers: dict[str, int]
    round_trip: float | None
    changed: tuple[str, ...]
    arrived: bool

    def show(self) -> dict[str, Any]:
        """For a finding's details; routers inside the home are left out."""
        return {
            "ttl": self.ttl,
            "routers": {address: count for address, count in self.routers.items() if not is_home(address)},
            "home": any(is_home(address) for address in self.routers),
            "rtt_ms": None if self.round_trip is None else round(self.round_trip * 1000, 3),
            "changed": list(self.changed),
            "arrived": self.arrived,
        }


def endpoint(target: str, port: int, protocol: Protocol) -> tuple[str, int]:
    """Address and port of ``ADDR``, ``ADDR:PORT`` or ``[ADDR]:PORT``. Raises UsageError."""
    host, given = target, ""
    if target.startswith("["):
        host, closed, rest = target[1:].partition("]")
        host, given = (host, rest.removeprefix(":")) if closed else (target, "")
    elif target.count(":") == 1:
        host, _, given = target.partition(":")
    try:
        address = str(ipaddress.ip_address(host))
        number = int(given) if given else port or (_UDP_PORT if protocol == "udp" else 80)
    except ValueError:
        raise UsageError(f"{target!r} is not an address: without a trigger, ttl-path takes ADDR or ADDR:PORT") from None
    if not 0 < number < 65536:
        raise UsageError(f"{number} is not a port")
    return address, number


def trace(address: str, port: int, protocol: Protocol, context: Context, repeat: int, top: int) -> Part[list[TraceHop]]:
    """All TTLs at once, the flow's fields held constant, ``repeat`` times. Ends at the first TTL that arrives."""
    rounds: list[list[Exchange]] = []
    for number in range(repeat):
        context.progress(f"sweep {number + 1} of {repeat} to {address}")
        rounds.append((yield [_step(address, port, protocol, ttl, number) for ttl in range(1, top + 1)]))
        arrived = [i for i, exchange in enumerate(rounds[-1]) if _arrived(exchange, address)]
        if arrived:
            top = arrived[0] + 1
    return [_hop(ttl, [r[ttl - 1] for r in rounds if len(r) >= ttl], address) for ttl in range(1, top + 1)]


def _step(address: str, port: int, protocol: Protocol, ttl: int, number: int) -> Step:
    if protocol == "tcp":
        return SynStep(address=address, port=port, ttl=ttl, flow=f"trace{number}")
    if protocol == "udp":
        # The payload tells the probes of one flow apart; its two halves keep the UDP checksum the same (Paris).
        payload = bytes((number, ttl, 255 - number, 255 - ttl)) + b"colibri!"
        return UdpStep(address=address, port=port, payload=payload, ttl=ttl, flow="trace", wait=1.0)
    return EchoStep(address=address, ttl=ttl, flow="trace")


def _arrived(exchange: Exchange, address: str) -> bool:
    return any(not h.outgoing and h.packet.source == address for h in exchange.heard)


def _hop(ttl: int, exchanges: list[Exchange], address: str) -> TraceHop:
    routers: Counter[str] = Counter()
    changed: set[str] = set()
    times: list[float] = []
    for exchange in exchanges:
        sent = next((h.packet for h in exchange.heard if h.outgoing), None)
        for heard in exchange.heard:
            if heard.outgoing or exchange.sent_at is None:
                continue
            routers[heard.packet.source] += 1
            times.append(heard.at - exchange.sent_at)
            if sent is not None:
                changed |= _changes(sent, heard.packet)
            break
    return TraceHop(
        ttl,
        dict(routers),
        min(times, default=None),
        tuple(sorted(changed)),
        any(_arrived(e, address) for e in exchanges),
    )


def _changes(sent: Packet, error: Packet) -> set[str]:
    """What a router quotes otherwise than it was sent: rewritten on the way there (Tracebox)."""
    if not isinstance(error.header, Icmp) or error.header.quoted is None:
        return set()
    quoted = error.header.quoted
    found = set()
    if quoted.tos != sent.tos:
        found.add("tos")
    if quoted.ident != sent.ident:
        found.add("ip_id")
    if quoted.length != sent.length:
        found.add("length")
    if isinstance(quoted.header, Tcp) and isinstance(sent.header, Tcp):
        if quoted.header.sequence != sent.header.sequence:
            found.add("sequence")
        if (
            quoted.header.flags
            and quoted.header.flags & Flags.SYN
            and quoted.header.options
            and quoted.header.options != sent.header.options
        ):
            found.add("tcp_options")
    return found
