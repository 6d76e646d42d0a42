"""Addresses in text, overwritten: a block page that greets the reader by address must not carry it abroad."""

from __future__ import annotations

import re
from collections.abc import Collection

from probe.model.errors import MalformedPacket
from probe.wire.address import address_bytes, address_text

# Dashes too: an echoed reverse name spells the address so. More than four numbers: any four of them may be an address.
# The edges: a literal may be cut between two segments.
_V4 = re.compile(
    rb"(?<!\d)\d{1,3}(?:[.-]\d{1,3}){3,}(?!\d)|\A\.?\d{1,3}(?:\.\d{1,3}){1,2}(?!\d)|(?<!\d)\d{1,3}(?:\.\d{1,3}){1,2}\.?\Z"
)
_V6_RUN = re.compile(rb"[0-9A-Fa-f:.]{4,}")
_V6_SHORT = re.compile(rb"[0-9A-Fa-f]{3,4}::")
_V6_CUT = re.compile(rb"[0-9A-Fa-f]{3,4}:")
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
        run = found[0]
        colons = run.count(b":")
        # Three colons are an address (a time of day has two), and so are two in a row behind three digits or more: an
        # address of a home begins with 2000 to 3fff, fc, fd or fe80. Cut at an edge, one of three digits will do.
        at_edge = found.start() == 0 or found.end() == len(payload)
        likely = colons >= 3 or (colons == 2 and (_V6_CUT if at_edge else _V6_SHORT).search(run))
        if not likely or _canonical(run) in keep:
            return run
        return _HEX_DIGIT.sub(b"0", run)

    # IPv6 first: what is left of a literal with an IPv4 tail is then zeros, which the second pass leaves as they are
    return _V4.sub(masked4, _V6_RUN.sub(masked6, payload))


def addresses_in(payload: bytes) -> frozenset[str]:
    """Every IPv4 and IPv6 literal of a text, in canonical form."""
    found = {_canonical(run) for run in _V6_RUN.findall(payload)}
    found |= {_canonical(run) for run in _V4.findall(payload)}
    return frozenset(found - {""})


def _canonical(run: bytes) -> str:
    """Canonical text of the address that a run of digits, colons and dots is, punctuation around it left off."""
    for candidate in (run, run.rstrip(b".:"), run.strip(b".:")):
        try:
            return address_text(address_bytes(candidate.decode("ascii")))
        except MalformedPacket:
            continue
    return ""
