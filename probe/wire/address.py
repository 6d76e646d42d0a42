"""Addresses as text and bytes, in one canonical form (RFC 5952)."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from probe.model.errors import MalformedPacket

_MAPPED = bytes(10) + b"\xff\xff"


@lru_cache(maxsize=4096)
def address_bytes(text: str) -> bytes:
    """Address as 4 or 16 bytes in network order; a zone (``%eth0``) is dropped. Raises MalformedPacket."""
    try:
        return ipaddress.ip_address(text).packed
    except ValueError as error:
        raise MalformedPacket(f"{text!r} is not an IP address") from error


@lru_cache(maxsize=4096)
def address_text(raw: bytes) -> str:
    """Canonical text of 4 or 16 bytes (RFC 5952; mapped IPv4 in mixed notation). Raises MalformedPacket.

    Written out because the standard library's text for mapped addresses differs between Python 3.11 and 3.13, and
    findings of both must compare equal.
    """
    if len(raw) == 4:
        return ".".join(map(str, raw))
    if len(raw) != 16:
        raise MalformedPacket(f"an IP address has 4 or 16 bytes, not {len(raw)}")
    if raw.startswith(_MAPPED):
        return "::ffff:" + ".".join(map(str, raw[12:]))
    groups = [f"{raw[i] << 8 | raw[i + 1]:x}" for i in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    if length < 2:
        return ":".join(groups)
    return ":".join(groups[:start]) + "::" + ":".join(groups[start + length :])


def _longest_zeros(groups: list[str]) -> tuple[int, int]:
    """Start and length of the first longest run of zero groups (RFC 5952, section 4.2.3)."""
    best, length, run = 0, 0, 0
    for i, group in enumerate(groups):
        run = run + 1 if group == "0" else 0
        if run > length:
            best, length = i - run + 1, run
    return best, length
