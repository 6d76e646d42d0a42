"""Whole numbers of variable length: seven bits a byte, the lowest first, the top bit set in all bytes but the last.

Unsigned LEB128 (DWARF 5, 7.6); MQTT's variable byte integer (MQTT 5, 1.5.5) is the same, of four bytes at the most.
"""

from __future__ import annotations

from probe.model.errors import MalformedPacket

_ONE = [bytes((value,)) for value in range(0x80)]


def encode(value: int) -> bytes:
    """The bytes of a number that is not negative; of those of another, ValueError."""
    if 0 <= value < 0x80:
        return _ONE[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(data: bytes | bytearray | memoryview, at: int, longest: int) -> tuple[int, int]:
    """The number at ``at`` and where it ends.

    Raises IndexError where the data end before it does, and MalformedPacket for one of more bytes than ``longest``.
    """
    value = 0
    for count in range(longest):
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, at + count + 1
    raise MalformedPacket(f"a number of more than {longest} bytes")
