"""Kernel filters (classic BPF) of the reflector: what opens a conversation with this host, and nothing at all."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterable

_LDB, _LDH, _LDH_X, _LDB_X, _MSH = 0x30, 0x28, 0x48, 0x50, 0xB1
_AND, _JEQ, _RET = 0x54, 0x15, 0x06
_SO_ATTACH_FILTER = 26
_MOST = 200  # ports: a jump reaches 255 instructions
_SYN, _OPENS = 0x02, 0x16  # SYN among SYN, ACK and RST

_Line = tuple[str, int, int] | tuple[str, int, int, str, str]


def openings(ports: Iterable[int]) -> bytes:
    """Packets from the IP header on (AF_PACKET, SOCK_DGRAM): SYNs, echo requests, and UDP to one of ``ports``.

    IPv6 extension headers and later fragments do not pass. At most 200 ports are looked for.
    """
    wanted: list[_Line] = [("", _JEQ, port, "accept", "") for port in sorted(set(ports))[:_MOST]]
    return _assemble([
        ("", _LDB, 0),
        ("", _AND, 0xF0),
        ("", _JEQ, 0x60, "v6", ""),
        ("", _JEQ, 0x40, "", "none"),
        ("", _LDH, 6),
        ("", _AND, 0x1FFF),
        ("", _JEQ, 0, "", "none"),
        ("", _MSH, 0),  # X = length of the IPv4 header
        ("", _LDB, 9),
        ("", _JEQ, 6, "tcp4", ""),
        ("", _JEQ, 17, "udp4", ""),
        ("", _JEQ, 1, "", "none"),
        ("", _LDB_X, 0),
        ("", _JEQ, 8, "all", "none"),
        ("tcp4", _LDB_X, 13),
        ("", _AND, _OPENS),
        ("", _JEQ, _SYN, "all", "none"),
        ("v6", _LDB, 6),
        ("", _JEQ, 6, "tcp6", ""),
        ("", _JEQ, 17, "udp6", ""),
        ("", _JEQ, 58, "", "none"),
        ("", _LDB, 40),
        ("", _JEQ, 128, "all", "none"),
        ("tcp6", _LDB, 40 + 13),
        ("", _AND, _OPENS),
        ("", _JEQ, _SYN, "all", "none"),
        ("none", _RET, 0),
        ("all", _RET, 0x40000),
        ("udp4", _LDH_X, 2),
        ("", _JEQ, 0x10000, "ports", "ports"),  # never equal: a jump
        ("udp6", _LDH, 42),
        ("ports", _JEQ, 0x10000, "drop", ""),
        *wanted,
        ("drop", _RET, 0),
        ("accept", _RET, 0x40000),
    ])  # fmt: skip


def _assemble(lines: list[_Line]) -> bytes:
    at = {line[0]: i for i, line in enumerate(lines) if line[0]}
    code = b""
    for i, line in enumerate(lines):
        yes, no = (line[3], line[4]) if len(line) == 5 else ("", "")
        code += struct.pack("HBBI", line[1], at[yes] - i - 1 if yes else 0, at[no] - i - 1 if no else 0, line[2])
    return code


NOTHING = struct.pack("HBBI", _RET, 0, 0, 0)
"""A socket with this filter takes what comes for its port and says nothing: no answer, no ICMP error, no reset."""


def attach(sock: socket.socket, code: bytes) -> None:
    """Attach machine code to a socket; before it is bound, so that nothing unfiltered queues."""
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog; "@" pads as the compiler of this machine does, on 32 bits as on 64
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
