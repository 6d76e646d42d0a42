"""Boxes that make a line slow: on purpose, for some names; or as lines are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.lab.kinds.base import BaseBox, Chance, Direction, Rate, Seconds

Bytes = Annotated[int, msgspec.Meta(ge=1500)]


class Throttle(BaseBox, tag="throttle", frozen=True, kw_only=True):
    """Limits flows whose Host, SNI or QUIC name holds one of ``words`` ("": any name) to ``rate`` kbit/s.

    ``police`` drops what is too fast; ``shape`` holds it up, for ``queue`` seconds at most. ``burst``: bytes that may
    come at once. ``per``: every flow has the rate for itself, or all of a home share it. ``share``: chance that a flow
    is chosen.
    """

    words: tuple[str, ...]
    rate: Rate
    where: tuple[Literal["host", "sni", "quic"], ...] = ("host", "sni", "quic")
    mode: Literal["police", "shape"] = "police"
    burst: Bytes = 16_000
    queue: Seconds = 1.0
    direction: Direction = "both"
    per: Literal["flow", "home"] = "flow"
    share: Chance = 1.0


class Line(BaseBox, tag="line", frozen=True, kw_only=True):
    """What a line carries, kbit/s ``down`` and ``up`` (0: no limit), whatever it is; the rest waits ``queue`` seconds.

    ``load``: the share that others in the home take while they are busy; busy and idle spells last ``period`` seconds
    on average.
    """

    down: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    up: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    burst: Bytes = 8_000
    queue: Seconds = 0.3
    load: Annotated[float, msgspec.Meta(ge=0, le=0.99)] = 0.0
    period: Annotated[float, msgspec.Meta(gt=0)] = 3.0
