"""Gives a node's kernel what a box asks of it: routes, packet filter, settings."""

from __future__ import annotations

from probe.lab import rules
from probe.lab.build import Fabric, nft
from probe.lab.kinds import (
    Ban,
    DnsRedirect,
    HomeDns,
    HttpProxy,
    IcmpRule,
    Nat,
    Portal,
    PortBlock,
    RouteAway,
    Ruling,
    TlsMitm,
    UdpBlock,
)
from probe.lab.world import World

_ROUTES = ("blackhole", "unreachable", "prohibit")
_FIRST_PORT = 8000


def port_of(number: int) -> int:
    """Where the server of an intercepting box listens; ``number``: the box's place in its scenario."""
    return _FIRST_PORT + number


def rule(fabric: Fabric, world: World, box: Ruling, number: int) -> None:
    """Make it so. ``number``: the box's place in its scenario. Raises ConfigError, CannotMeasure."""
    if isinstance(box, RouteAway) and box.direction == "up" and box.action in _ROUTES:
        fabric.route_away(box.at, box.prefixes, box.action)
        return
    with fabric.namespaces[box.at].inside():
        if text := _text(fabric, world, box, number):
            nft(text)
        fabric.namespaces[box.at].sysctl(_settings(box))


def _settings(box: Ruling) -> dict[str, int | str]:
    if isinstance(box, IcmpRule) and box.mode == "limited":
        interval = int(box.interval * 1000)
        return {
            "ipv4/icmp_ratelimit": interval, "ipv6/icmp/ratelimit": interval, "ipv4/icmp_ratemask": 1 << 3 | 1 << 11,
        }  # fmt: skip
    if isinstance(box, Nat):
        names = {"udp_timeout": box.udp_timeout, "udp_timeout_stream": box.udp_timeout,
                 "tcp_timeout_established": box.tcp_timeout}  # fmt: skip
        return {f"netfilter/nf_conntrack_{name}": value for name, value in names.items() if value}
    return {}


def _text(fabric: Fabric, world: World, box: Ruling, number: int) -> str:
    node, name = world.node(box.at), f"box{number}"
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
            return rules.silence() if box.mode == "silent" else ""
        case Nat():
            outside = [fabric.interface(box.at, parent) for _, parent in world.exits(box.at)]
            return rules.second_nat(box, name, outside, world.outside(box.at))
        case DnsRedirect():
            resolver = world.node(box.to or f"{box.at.partition('.')[0]}.resolver")
            return rules.redirect(box, name, entries, resolver.addresses, node.addresses)
        case HttpProxy() | TlsMitm():
            return rules.take(name, entries, box.ports, node.addresses, port_of(number))
        case Portal():
            taken = rules.take(f"{name}web", entries, (80,), node.addresses, port_of(number))
            names = DnsRedirect(at=box.at, protocols=("udp", "tcp"))
            return (taken + rules.redirect(names, f"{name}dns", entries, node.addresses, node.addresses)
                    + rules.portal(name, entries))  # fmt: skip
