"""What comes back to the probes of :mod:`probe.engine.bulk.frames`: whose it is, and what it says.

It reads where the kernel has put the packet, without a copy; nothing that comes back can make it fail.
"""

from __future__ import annotations

import mmap
import struct
from typing import Literal

from probe.engine.bulk.frames import numbered

Said = Literal["open", "closed", "reply", "expired", "unreachable"]
"""By the far end: SYN-ACK, RST, echo reply. By a router (or the far end): ICMP time exceeded, ICMP unreachable."""

Key = bytes
"""A far end: its address, and its port in two bytes (0 for echoes)."""
Memory = bytes | bytearray | memoryview | mmap.mmap

Heard = tuple[Key, int, Said, bytes, int, int]
"""(far end, number of the probe, what is said, by which address, TTL on arrival, ICMP code)."""

_NO_PORT = b"\0\0"
_WORD = struct.Struct(">H").unpack_from
_LONG = struct.Struct(">I").unpack_from
_QUOTED_SYN = struct.Struct(">B7xBB2x4s4xBB6xB8xB6x4sH2sI").unpack_from
"""Of IPv4: version and length, TTL, protocol, source; of ICMP: type, code; of the quoted packet: version and length,
protocol, destination, source port, destination port, sequence number."""
_FIRST = struct.Struct(">B7xBB").unpack_from  # of IPv4: version and length, TTL, protocol


def read(memory: Memory, at: int, length: int, own: int) -> Heard | None:
    """The packet of ``length`` bytes that begins at ``at``; None where it answers no probe from port (identifier)
    ``own``. Of a quote (RFC 792: the header and 8 bytes) no more than that is needed."""
    if length < 28:
        return None
    if length >= 56:  # what nearly all are, at a stroke
        first, ttl, icmp, who, kind, code, inner, tcp, far, port, far_port, sequence = _QUOTED_SYN(memory, at)
        if port == own and kind == 11 and first == 0x45 and icmp == 1 and inner == 0x45 and tcp == 6:
            return far + far_port, sequence >> 16, "expired", who, ttl, code
    version = memory[at] >> 4
    if version == 4:
        return _read4(memory, at, length, own)
    return _read6(memory, at, length, own) if version == 6 else None


def _read4(memory: Memory, at: int, length: int, own: int) -> Heard | None:
    first, ttl, protocol = _FIRST(memory, at)
    header = (first & 15) << 2
    body = at + header
    if header < 20 or length < header + 8:
        return None
    source = bytes(memory[at + 12 : at + 16])
    if protocol == 6:
        return _segment(memory, body, length - header, own, source, ttl)
    if protocol != 1:
        return None
    kind, code = memory[body], memory[body + 1]
    if kind == 0:
        return _echo_reply(memory, body, own, source, ttl)
    quote = body + 8
    if kind not in (3, 11) or length < header + 36 or memory[quote] != 0x45:
        return None
    key = _quoted(memory, quote + 20, own, memory[quote + 9], bytes(memory[quote + 16 : quote + 20]), 1, 8)
    return None if key is None else (*key, "expired" if kind == 11 else "unreachable", source, ttl, code)


def _read6(memory: Memory, at: int, length: int, own: int) -> Heard | None:
    protocol, ttl = memory[at + 6], memory[at + 7]
    body = at + 40
    if length < 48:
        return None
    source = bytes(memory[at + 8 : at + 24])
    if protocol == 6:
        return _segment(memory, body, length - 40, own, source, ttl)
    if protocol != 58:
        return None
    kind, code = memory[body], memory[body + 1]
    if kind == 129:
        return _echo_reply(memory, body, own, source, ttl)
    quote = body + 8
    if kind not in (1, 3) or length < 96 or memory[quote] >> 4 != 6:
        return None
    key = _quoted(memory, quote + 40, own, memory[quote + 6], bytes(memory[quote + 24 : quote + 40]), 58, 128)
    return None if key is None else (*key, "expired" if kind == 3 else "unreachable", source, ttl, code)


def _segment(memory: Memory, body: int, length: int, own: int, source: bytes, ttl: int) -> Heard | None:
    if length < 20 or _WORD(memory, body + 2)[0] != own:
        return None
    flags = memory[body + 13] & 0b10110  # SYN, RST, ACK
    if flags not in (0b10010, 0b10100):
        return None
    sequence = (_LONG(memory, body + 8)[0] - 1) & 0xFFFFFFFF
    number = sequence >> 16
    if sequence != numbered(number):
        return None
    return source + bytes(memory[body : body + 2]), number, "open" if flags == 0b10010 else "closed", source, ttl, 0


def _echo_reply(memory: Memory, body: int, own: int, source: bytes, ttl: int) -> Heard | None:
    identifier, number = _WORD(memory, body + 4)[0], _WORD(memory, body + 6)[0]
    return (source + _NO_PORT, number, "reply", source, ttl, 0) if identifier == own else None


def _quoted(
    memory: Memory, body: int, own: int, protocol: int, destination: bytes, icmp: int, request: int
) -> tuple[Key, int] | None:
    """Far end and number of a quoted probe, of which the first 8 bytes are there."""
    if protocol == 6 and _WORD(memory, body)[0] == own:
        return destination + bytes(memory[body + 2 : body + 4]), _WORD(memory, body + 4)[0]
    if protocol == icmp and memory[body] == request and _WORD(memory, body + 4)[0] == own:
        return destination + _NO_PORT, _WORD(memory, body + 6)[0]
    return None


