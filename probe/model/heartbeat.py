"""A signed sign of life: what a probe says of itself every few minutes, measured or not, connected or not.

It proves what a silence was: a probe that lived and measured nothing, one whose line was cut (its heartbeats come
late), or one that gave no sign of life. Field names are stable: add, never change.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.model.finding import Clock, Count, Instant, Name, Signature, Token, Uuid

SCHEMA: Literal["colibri.heartbeat/1"] = "colibri.heartbeat/1"

Link = Literal["up", "down", "unknown"]
Run = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$", description="one start of the daemon")]


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """One sign of life.

    ``run``: made anew at every start, within which ``sequence`` counts from 0: a gap shows what was lost. ``uptime_s``:
    seconds since that start. ``measured`` and ``failed``: runs that gave a finding, and that could not take place,
    since the heartbeat before. ``connected``: to the broker. ``spool_depth``: findings that wait.
    """

    schema: Literal["colibri.heartbeat/1"] = SCHEMA
    id: Uuid
    probe: Token
    software: Name
    run: Run
    sequence: Count
    at: Instant
    clock: Clock
    uptime_s: Count
    measured: Count
    failed: Count
    spool_depth: Count
    link: Link
    connected: bool
    signature: Signature | None = None
