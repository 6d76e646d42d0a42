"""IPv6 extension headers (RFC 8200, section 4)."""

from __future__ import annotations

from struct import Struct

import msgspec

FRAGMENT = 44
FRAGMENT_HEADER = Struct(">BBHI")
SKIPPED = frozenset({0, 43, 60})
"""Hop-by-hop options, routing, destination options."""
KNOWN = SKIPPED | {FRAGMENT}


class Chain(msgspec.Struct, frozen=True, gc=False):
    """What stands between the IPv6 header and the transport header, which has ``protocol`` and begins at ``at``.

    ``offset`` and ``more`` come from the fragment header (offset in bytes), ``ident`` is None without one; ``spans``
    are (start, end) of the skipped headers; ``whole`` is False where one runs over the end.
    """

    protocol: int
    at: int
    ident: int | None
    offset: int
    more: bool
    spans: tuple[tuple[int, int], ...]
    whole: bool


def walk(raw: bytes | bytearray, protocol: int, at: int, end: int) -> Chain:
    """Follow the chain that starts with header ``protocol`` at ``raw[at]``."""
    ident: int | None = None
    offset, more, whole = 0, False, True
    spans = []
    while protocol in KNOWN and not offset:
        size = 8 if protocol == FRAGMENT or end - at < 2 else 8 + 8 * raw[at + 1]
        if end - at < size:
            whole = False
            break
        if protocol == FRAGMENT:
            protocol, _, fragment, ident = FRAGMENT_HEADER.unpack_from(raw, at)
            offset, more = fragment & 0xFFF8, bool(fragment & 1)
        else:
            protocol = raw[at]
            spans.append((at, at + size))
        at += size
    return Chain(protocol, at, ident, offset, more, tuple(spans), whole)
