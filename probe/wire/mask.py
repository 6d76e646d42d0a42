"""Addresses in text, overwritten: a block page that greets the reader by address must not carry it abroad."""

from __future__ import annotations

import re
from collections.abc import Collection

from probe.model.errors import MalformedPacket
from probe.wire.address import address_bytes, address_text

# Dashes too: an echoed reverse name spells the address so. The edges: a literal may be cut between two segments.
_V4 = re.compile(
    rb"(?<!\d)\d{1,3}(?:[.-]\d{1,3}){3}(?!\d)|\A\.?\d{1,3}(?:\.\d{1,3}){1,2}(?!\d)|(?<!\d)\d{1,3}(?:\.\d{1,3}){1,2}\.?\Z"
)
_V6 = re.compile(rb"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]{0,15}(?![0-9A-Za-z_:])")
_DIGIT = re.compile(rb"\d")
_HEX_DIGIT = re.compile(rb"[0-9A-Fa-f]")


def mask_addresses(payload: bytes, keep: Collection[str]) -> bytes:
    """``payload`` with every digit of every IPv4 and IPv6 literal replaced by ``0``; the length stays.

    Literals of the addresses in ``keep`` (canonical text) stay. What looks like part of a literal at either end of the
    payload is masked as well.
    """

    def masked4(found: re.Match[bytes]) -> bytes:
        return found[0] if found[0].decode() in keep else _DIGIT.sub(b"0", found[0])

    def masked6(found: re.Match[bytes]) -> bytes:
        try:
            address = address_text(address_bytes(found[0].decode()))
        except MalformedPacket:
            return found[0]  # a time of day, a MAC-like number …
        return found[0] if address in keep else _HEX_DIGIT.sub(b"0", found[0])

    # IPv6 first: what is left of a literal with an IPv4 tail is then zeros, which the second pass leaves as they are
    return _V4.sub(masked4, _V6.sub(masked6, payload))
