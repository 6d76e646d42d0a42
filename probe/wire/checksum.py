"""The Internet checksum (RFC 1071) and its incremental update (RFC 1624)."""

from __future__ import annotations


def checksum(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Internet checksum of ``data`` (RFC 1071); ``start`` is a plain sum of 16-bit words to begin with.

    Over data that already holds its right checksum the result is 0.
    """
    # One's complement addition of 16-bit words is arithmetic modulo 0xFFFF, which one big division does at C speed;
    # only the two spellings of zero need care: a sum is 0 if all words are, else 0xFFFF.
    total = start + (int.from_bytes(data, "big") << (8 if len(data) & 1 else 0))
    if not total:
        return 0xFFFF
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """Sum to hand to :func:`checksum` as ``start`` for TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1).

    ``length`` is that of the transport header and payload, in bytes.
    """
    return int.from_bytes(source, "big") + int.from_bytes(destination, "big") + protocol + length


def updated(old_checksum: int, old: bytes, new: bytes) -> int:
    """Checksum after ``old`` (an even number of bytes at an even offset) became ``new`` (RFC 1624, equation 3).

    A right checksum stays right, a wrong one stays wrong by the same amount.
    """
    total = (0xFFFF - old_checksum) + int.from_bytes(new, "big") - int.from_bytes(old, "big")
    # equation 3 adds the complement of the old words; modulo 0xFFFF that is a subtraction. The sum of a real packet
    # is never the zero that means "all words are 0", so its zero is written 0xFFFF, the checksum's 0x0000.
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)
