"""Where an ICMP error keeps its quote and its extensions (RFC 792, RFC 4443, RFC 4884)."""

from __future__ import annotations

from struct import Struct

from probe.wire.checksum import checksum

HEADER = Struct(">BBHI")
"""Type, code, checksum and the second word."""

LEGACY_AREA = 128
"""Bytes of quote before the extensions of a sender that sets no length field (RFC 4884, section 5)."""

_ERRORS = {4: frozenset({3, 4, 5, 11, 12}), 6: frozenset({1, 2, 3, 4})}
# (IP version, type) → (shift of the length field in the second word, bytes that it counts in)
_LENGTH_FIELD = {(4, 3): (16, 4), (4, 11): (16, 4), (4, 12): (16, 4), (6, 1): (24, 8), (6, 3): (24, 8)}


def is_error(version: int, kind: int) -> bool:
    """Whether an ICMP message of that type quotes a packet."""
    return kind in _ERRORS[version]


def quote_area(version: int, kind: int, rest: int) -> int:
    """Bytes set aside for the quote by the length field of RFC 4884; 0: the field is not set or does not exist.

    A value too small for an IP header is taken for garbage of a sender that knows no such field.
    """
    shift, unit = _LENGTH_FIELD.get((version, kind), (0, 0))
    area = (rest >> shift & 0xFF) * unit
    return area if area >= 20 else 0


def split_quote(raw: bytes | bytearray, at: int, end: int, version: int) -> tuple[int, int]:
    """Offsets (end of the quote, start of the extensions) of an ICMP error whose header lies at ``raw[at]``.

    The quote starts at ``at + 8``. The extensions run from the second offset to ``end``; there are none where it equals
    ``end``.
    """
    start = at + 8
    area = quote_area(version, raw[at], int.from_bytes(raw[at + 4 : at + 8], "big"))
    if area:
        cut = min(start + area, end)
        return cut, cut
    if (version, raw[at]) in _LENGTH_FIELD and _legacy_extensions(raw, start + LEGACY_AREA, end):
        return start + LEGACY_AREA, start + LEGACY_AREA
    return end, end


def _legacy_extensions(raw: bytes | bytearray, start: int, end: int) -> bool:
    """Whether a well-formed extension structure (version 2, right checksum) begins at ``start``."""
    if end - start < 8 or raw[start] >> 4 != 2:
        return False
    return checksum(raw[start:end]) == 0
