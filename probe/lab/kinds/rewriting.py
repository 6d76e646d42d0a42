"""Boxes that change packets on their way."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.lab.kinds.base import BaseBox, Direction, FieldRule, Ports

TcpOption = Literal["mss", "window_scale", "sack", "timestamps", "mptcp", "fast_open"]


class SipAlg(BaseBox, tag="sip_alg", frozen=True, kw_only=True):
    """An application-level gateway: writes the public address over private ones in SIP over UDP, and back.

    In a home router it acts behind the NAT, as Linux does. ``ports``: the servers'; empty: wherever it sees SIP.
    """

    ports: Ports = (5060,)


class Rewrite(BaseBox, tag="rewrite", frozen=True, kw_only=True):
    """Changes header fields, as routers do and must not: DSCP, ECN, TTL, IP identifier, TCP options, MSS.

    ``strip``: TCP options to be overwritten with no-operations; ``mss``: the most a SYN may announce.
    ``protocols``: empty: all.
    """

    dscp: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
    ecn: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    ttl: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    ip_id: FieldRule = "mirror"
    strip: tuple[TcpOption, ...] = ()
    mss: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    protocols: tuple[Literal["tcp", "udp", "icmp"], ...] = ()
    ports: Ports = ()
    direction: Direction = "both"
