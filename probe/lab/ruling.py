"""Gives a node's kernel what a box asks of it: routes, packet filter, settings."""

from __future__ import annotations

from probe.lab import rules
from probe.lab.build import Fabric, nft
from probe.lab.kinds import Ban, HomeDns, IcmpRule, PortBlock, RouteAway, Ruling, UdpBlock
from probe.lab.world import World

_ROUTES = ("blackhole", "unreachable", "prohibit")


def rule(fabric: Fabric, world: World, box: Ruling, number: int) -> None:
    """Make it so. ``number`` tells boxes of one kind at one node apart. Raises ConfigError, CannotMeasure."""
    if isinstance(box, RouteAway) and box.direction == "up" and box.action in _ROUTES:
        fabric.route_away(box.at, box.prefixes, box.action)
        return
    with fabric.namespaces[box.at].inside():
        if isinstance(box, IcmpRule) and box.mode == "limited":
            interval = int(box.interval * 1000)
            keys = ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit")
            fabric.namespaces[box.at].sysctl({**dict.fromkeys(keys, interval), "ipv4/icmp_ratemask": 1 << 3 | 1 << 11})
        else:
            nft(_text(fabric, world, box, f"box{number}"))


def _text(fabric: Fabric, world: World, box: Ruling, name: str) -> str:
    links = world.entries(box.at)
    entries = [fabric.interface(box.at, child if parent == box.at else parent) for child, parent in links]
    match box:
        case PortBlock():
            return rules.port_block(box, name, entries)
        case UdpBlock():
            return rules.port_block(PortBlock(at=box.at, protocol="udp", spare=box.spare), name, entries)
        case RouteAway():
            if box.direction == "up":
                return rules.route_refusal(box, name)
            lost = PortBlock(at=box.at, protocol="any", to=box.prefixes, direction="down")
            return rules.port_block(lost, name, entries)
        case Ban():
            return rules.ban(box)
        case HomeDns():
            return rules.home_dns(entries[0])
        case IcmpRule():
            return rules.silence()
