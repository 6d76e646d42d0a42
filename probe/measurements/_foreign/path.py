"""Routers on a way, from a traceroute that somebody else captured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from probe.measurements._foreign.packets import NEED, Taken, quotes
from probe.measurements._judge import confidence, plural
from probe.model.finding import Judgement, Tally, Target
from probe.model.packet import Icmp, Packet, Tcp, Udp

_KIND = "ttl_path"
_FARTHEST = 40  # a packet with a higher TTL was meant to arrive

Probe = tuple[str, type, int, int]
"""Destination, protocol's header, and what tells its probes apart in the 8 bytes that every router quotes."""


def judge(taken: Sequence[Taken]) -> list[Judgement]:
    """One judgement for each destination towards which packets of three TTLs or more died."""
    sent: dict[Probe, int] = {}
    for one in taken:
        if one.packet.ttl <= _FARTHEST and (key := _probe(one.packet)) is not None:
            sent.setdefault(key, one.packet.ttl)
    ways: dict[str, dict[int, Counter[str]]] = {}
    for one, quoted in quotes(taken):
        key = _probe(quoted)
        if key is not None and key in sent:
            ways.setdefault(key[0], {}).setdefault(sent[key], Counter())[one.packet.source] += 1
    return [_judge(address, way, taken) for address, way in ways.items() if len(way) >= NEED]


def _probe(packet: Packet) -> Probe | None:
    header = packet.header
    if isinstance(header, Tcp):
        return packet.destination, Tcp, header.source_port << 16 | header.destination_port, header.sequence
    if isinstance(header, Udp):
        # Paris traceroutes keep the ports and vary the checksum or the identification; others vary the ports.
        return packet.destination, Udp, header.source_port << 16 | header.destination_port, (
            header.checksum << 16 | (packet.ident or 0)
        )
    if isinstance(header, Icmp) and header.quoted is None:
        return packet.destination, Icmp, header.type, header.rest
    return None


def _judge(address: str, way: dict[int, Counter[str]], taken: Sequence[Taken]) -> Judgement:
    arrived = any(one.packet.source == address for one in taken)
    farthest = max(way)
    reason = (
        f"The captured packets show {plural(len(way), 'hop')} towards {address}, the farthest at TTL {farthest}; it "
        f"{'answered' if arrived else 'did not answer, which a firewall of its own explains as well'}."
    )
    return Judgement(
        verdict="clean" if arrived else "inconclusive",
        rule=f"{_KIND}/captured-{'arrives' if arrived else 'does-not-arrive'}",
        target=Target(address, "", address),
        trials=Tally(farthest, len(way)),
        confidence=confidence((len(way), farthest)) if arrived else 0.0,
        reasons=[reason],
        details={"path": [{"ttl": ttl, "routers": dict(routers)} for ttl, routers in sorted(way.items())]},
    )
