"""The kernel's filter for own flows: classic BPF for packets that begin at the IP header (AF_PACKET, SOCK_DGRAM).

It lets pass TCP and UDP whose source or destination port lies in the run's own block of ports, ICMP echo whose
identifier does, and ICMP errors that quote such a packet. Nothing else of the home's traffic reaches this process.
A block is a base and a mask, ``port & mask == base``. Quotes with IP options and IPv6 extension headers do not pass.
"""

from __future__ import annotations

import ctypes
import socket
import struct

_LDB, _LDH, _LDH_X, _LDB_X, _MSH = 0x30, 0x28, 0x48, 0x50, 0xB1
_RSH, _AND, _JEQ, _RET = 0x74, 0x54, 0x15, 0x06
_SO_ATTACH_FILTER = 26

Line = tuple[str, int, int] | tuple[str, int, int, str, str]


def _program(base: int, mask: int) -> list[tuple[str, ...] | tuple[object, ...]]:
    """Assembly: (label, op, operand[, jump if true, jump if false]); a label of "" falls through."""

    def port(label: str, op: int, offset: int, otherwise: str) -> list[tuple[object, ...]]:
        return [(label, op, offset), ("", _AND, mask), ("", _JEQ, base, "accept", otherwise)]

    return [
        ("", _LDB, 0),
        ("", _RSH, 4),
        ("", _JEQ, 6, "v6", ""),
        ("", _JEQ, 4, "", "drop"),
        ("", _LDH, 6),
        ("", _AND, 0x1FFF),  # a later fragment has no ports
        ("", _JEQ, 0, "", "drop"),
        ("", _MSH, 0),  # X = length of the IPv4 header
        ("", _LDB, 9),
        ("", _JEQ, 6, "ports4", ""),
        ("", _JEQ, 17, "ports4", ""),
        ("", _JEQ, 1, "", "drop"),
        ("", _LDB_X, 0),
        ("", _JEQ, 8, "echo4", ""),
        ("", _JEQ, 0, "echo4", ""),
        ("", _LDB_X, 8),
        ("", _JEQ, 0x45, "", "drop"),
        ("", _LDB_X, 8 + 9),
        ("", _JEQ, 1, "quoted_echo4", ""),
        *port("", _LDH_X, 8 + 20, "drop"),
        *port("quoted_echo4", _LDH_X, 8 + 20 + 4, "drop"),
        *port("echo4", _LDH_X, 4, "drop"),
        *port("ports4", _LDH_X, 0, ""),
        *port("", _LDH_X, 2, "drop"),
        ("v6", _LDB, 6),
        ("", _JEQ, 6, "ports6", ""),
        ("", _JEQ, 17, "ports6", ""),
        ("", _JEQ, 58, "", "drop"),
        ("", _LDB, 40),
        ("", _JEQ, 128, "echo6", ""),
        ("", _JEQ, 129, "echo6", ""),
        ("", _LDB, 40 + 8 + 6),
        ("", _JEQ, 58, "quoted_echo6", ""),
        *port("", _LDH, 40 + 8 + 40, "drop"),
        *port("quoted_echo6", _LDH, 40 + 8 + 40 + 4, "drop"),
        *port("echo6", _LDH, 40 + 4, "drop"),
        *port("ports6", _LDH, 40, ""),
        *port("", _LDH, 42, "drop"),
        ("drop", _RET, 0),
        ("accept", _RET, 0x40000),
    ]


def assemble(base: int, mask: int) -> bytes:
    """Machine code of the filter for the block of ports (``struct sock_filter`` array)."""
    lines = _program(base, mask)
    at = {line[0]: i for i, line in enumerate(lines) if line[0]}
    code = b""
    for i, line in enumerate(lines):
        jump_true, jump_false = (line[3], line[4]) if len(line) == 5 else ("", "")
        code += struct.pack(
            "HBBI",
            line[1],
            at[jump_true] - i - 1 if jump_true else 0,
            at[jump_false] - i - 1 if jump_false else 0,
            line[2],
        )
    return code


def attach(sock: socket.socket, code: bytes) -> None:
    """Attach machine code to a socket. Do it before bind: nothing unfiltered may queue."""
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog; "@" pads as the compiler of this machine does, on 32 bits as on 64
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def attach_drop_all(sock: socket.socket) -> None:
    """Make a socket receive nothing: it only holds its port, or only sends."""
    attach(sock, struct.pack("HBBI", _RET, 0, 0, 0))
