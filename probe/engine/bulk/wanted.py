"""What is asked of the line by the thousand: one type for who types it here and for who asks the daemon."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
LINGER = 3600.0
"""Seconds that somebody may go on listening, at most."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One job: what ``kind`` does to ``targets`` (addresses; names of ``dns``).

    ``rate``: packets a second, 0: as the configuration allows. Of a sweep: ``hops``, the farthest TTL, and ``port``, or
    ``icmp``; of ports: ``ports``; of dns: ``resolver`` ("": the configuration's) and ``linger``, seconds to go on
    listening.
    """

    kind: Literal["sweep", "ports", "dns"]
    targets: list[str] = []
    rate: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    hops: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 30
    port: Port = 80
    icmp: bool = False
    ports: list[Port] = msgspec.field(default_factory=lambda: [80, 443])
    resolver: str = ""
    linger: Annotated[float, msgspec.Meta(ge=0, le=LINGER)] = 0.5
