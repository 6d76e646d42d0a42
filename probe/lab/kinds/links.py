"""What links and routers are like, without meaning any harm."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.lab.kinds.base import BaseBox, Chance, Seconds


class IcmpRule(BaseBox, tag="icmp", frozen=True, kw_only=True):
    """A router that sends no ICMP errors, or at most one to an address in ``interval`` (after a burst of six)."""

    mode: Literal["silent", "limited"]
    interval: Seconds = 1.0


class Impair(BaseBox, tag="impair", frozen=True, kw_only=True):
    """A bad link: one-way ``delay``, ``jitter`` on top (order kept), losses, duplicates, overtaking.

    ``burst``: packets that are lost in a row, on average (Gilbert's model); 1 or less: each by itself.
    """

    delay: Seconds = 0.0
    jitter: Seconds = 0.0
    loss: Chance = 0.0
    burst: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    duplicate: Chance = 0.0
    reorder: Chance = 0.0


class EqualPaths(BaseBox, tag="equal_paths", frozen=True, kw_only=True):
    """A twin router beside ``at``, chosen by a hash of the flow; ``longer``: that way has one hop more."""

    longer: bool = False
