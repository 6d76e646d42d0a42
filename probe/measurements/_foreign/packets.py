"""Packets that somebody else captured: who asked whom, and what was said against what others say.

Nobody planned such a capture, so there are no trials and controls but those that happen to be in it. What these rules
claim needs the same as elsewhere: three that agree, others that fared well before and after, and a contradiction of
physics; else they say what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network

import msgspec

from probe.measurements._judge import confidence, hops_away
from probe.model.finding import Interference, Judgement, Location, Tally, Target, Technique
from probe.model.packet import Icmp, Packet

NEED = 3
"""Flows that must agree."""
APART = 3
"""Routers by which a forger must be nearer than whom it speaks for: more than a site's own machines are apart
(:data:`probe.measurements._proof.MARGIN`), and more than two ways of one flow differ."""

_PRIVATE = [
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
]


class Taken(msgspec.Struct, frozen=True):
    """A captured packet; ``at`` in seconds."""

    at: float
    packet: Packet


def nearer(forged: Iterable[int], genuine: Iterable[int]) -> bool:
    """Whether packets with the one set of TTLs on arrival all crossed fewer routers, by :data:`APART`, than all with
    the other: if they left with usual initial TTLs."""
    false, true = [hops_away(t) for t in forged], [hops_away(t) for t in genuine]
    return bool(false and true) and max(false) + APART <= min(true)


def from_home(ttls: Iterable[int]) -> bool:
    """Whether packets may come from the home: some of them crossed no router, or but one."""
    return any(hops_away(t) <= 1 for t in ttls)


def home_end(routers: Mapping[int, str]) -> int:
    """TTL of the last router that may be the home's: the first is, and those behind it whose addresses are private."""
    depth = 1
    while depth + 1 in routers and _private(routers[depth + 1]):
        depth += 1
    return depth


def _private(address: str) -> bool:
    ip = ip_address(address)
    return any(ip.version == network.version and ip in network for network in _PRIVATE)


def quotes(taken: Sequence[Taken]) -> list[tuple[Taken, Packet]]:
    """ICMP time exceeded (RFC 792 type 11, RFC 4443 type 3), with the packet that each quotes."""
    found = []
    for one in taken:
        header = one.packet.header
        exceeded = 11 if one.packet.version == 4 else 3
        if isinstance(header, Icmp) and header.quoted is not None and header.type == exceeded:
            found.append((one, header.quoted))
    return found


def around(controls: Iterable[float], trials: Sequence[float]) -> bool:
    """Whether something fared well before the first of the trials, and something after the last."""
    times = list(controls)
    return bool(times and trials) and min(times) < min(trials) and max(times) > max(trials)


def claim(
    kind: str, rule: str, target: Target, technique: Technique, trials: Tally, controls: Tally, reasons: list[str],
    location: Location | None = None, details: dict[str, object] | None = None,
) -> Judgement:  # fmt: skip
    """An accusation."""
    return Judgement(
        verdict="interfered", rule=f"{kind}/captured-{rule}", target=target, trials=trials, controls=controls,
        interference=Interference(technique, "on_path", location), reasons=reasons, details=details or {},
        confidence=confidence((trials.agreed, trials.made), (controls.agreed, controls.made)),
    )  # fmt: skip


def doubt(
    kind: str, rule: str, target: Target, trials: Tally, controls: Tally, reasons: list[str],
    details: dict[str, object] | None = None,
) -> Judgement:  # fmt: skip
    """What looks odd, or says nothing."""
    return Judgement(
        verdict="inconclusive", rule=f"{kind}/captured-{rule}", target=target, trials=trials, controls=controls,
        reasons=reasons, details=details or {},
    )  # fmt: skip
