"""Boxes that stop packets by what they are: their protocol, port, address or rate."""

from __future__ import annotations

from typing import Literal

from probe.lab.kinds.base import BaseBox, Chance, Direction, Ports, Seconds

Refusal = Literal[
    "net_unreachable", "host_unreachable", "port_unreachable", "net_prohibited", "host_prohibited", "admin_prohibited"
]
"""ICMP destination unreachable, codes 0, 1, 3, 9, 10, 13 (RFC 792, RFC 1812 5.2.7.1), and their ICMPv6 kin."""
Dialect = Literal["stun", "sip", "rtp", "dtls", "quic_sni"]


class Recognise(BaseBox, tag="udp_filter", frozen=True, kw_only=True):
    """Deep packet inspection for calls and QUIC: knows messages by their bytes, on any port or on ``ports``.

    Drops what it knows (or, over TCP, resets the flow). A flow is chosen with probability ``share``; of a chosen one,
    the first ``packets`` messages and those of the first ``after`` seconds still pass. ``residual``: from the first
    message stopped on, the whole flow is silent for so long. ``words``: only messages that hold one of them; for
    ``quic_sni``, names.
    """

    match: tuple[Dialect, ...]
    words: tuple[str, ...] = ()
    ports: Ports = ()
    transport: tuple[Literal["udp", "tcp"], ...] = ("udp",)
    action: Literal["drop", "reset"] = "drop"
    share: Chance = 1.0
    after: Seconds = 0.0
    packets: int = 0
    residual: Seconds = 0.0
    direction: Direction = "both"


class PortBlock(BaseBox, tag="port_block", frozen=True, kw_only=True):
    """A packet filter as routers have it. ``ports``, ``to`` are the servers', ``sources`` the homes'; empty: all.

    ``spare``: ports that pass. ``action`` other than drop is for ``up`` alone (reset: TCP only).
    """

    protocol: Literal["udp", "tcp", "icmp", "any"] = "udp"
    ports: Ports = ()
    spare: Ports = ()
    to: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    direction: Direction = "up"
    action: Literal["drop", "reset"] | Refusal = "drop"


class UdpBlock(BaseBox, tag="udp_block", frozen=True, kw_only=True):
    """Drops all UDP to ports other than these."""

    spare: Ports = (53, 123)


class RouteAway(BaseBox, tag="route", frozen=True, kw_only=True):
    """Gives prefixes a route that leads nowhere: silently, or with an ICMP error from that router.

    ``direction`` "down": what comes *from* the prefixes is lost on its way to the homes, silently; the way there is
    whole.
    """

    prefixes: tuple[str, ...]
    action: Literal["blackhole", "unreachable", "prohibit"] | Refusal = "blackhole"
    direction: Literal["up", "down"] = "up"


class Ban(BaseBox, tag="ban", frozen=True, kw_only=True):
    """A host's own guard (fail2ban): who opens more than ``connections`` in ``seconds`` is silenced for ``hold``."""

    connections: int = 20
    seconds: Seconds = 10.0
    hold: Seconds = 60.0
    action: Literal["drop", "reset"] = "drop"
