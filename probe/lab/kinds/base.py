"""What the fields of a box are made of."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Copies = Annotated[int, msgspec.Meta(ge=1, le=20)]
Rate = Annotated[float, msgspec.Meta(gt=0)]
"""Kilobits (1000 bits) a second, IP headers counted."""
Ports = tuple[Annotated[int, msgspec.Meta(ge=1, le=65535)] | Annotated[str, msgspec.Meta(pattern=r"^\d+-\d+$")], ...]
"""Port numbers and ranges ("10000-20000"); empty: all."""
FieldRule = Annotated[int, msgspec.Meta(ge=0, le=65535)] | Literal["random", "mirror"]
"""How a box fills a header field: a number, drawn anew for each packet, or copied from the packet it answers."""
Direction = Literal["both", "up", "down"]
"""Up: from the homes to the servers."""
Where = Literal["host", "sni"]


class BaseBox(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """Stands ``at`` a node, on the link by which the homes' packets enter it."""

    at: str
