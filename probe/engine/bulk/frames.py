"""Probes that are written once for each far end and changed in two places for each packet: TTL and number.

The number rides in the packet's own fields, so that whatever comes back names the packet it is about: in a SYN it is
the upper half of the sequence number, in an echo request the sequence number. The lower half (two bytes of data) makes
up for it, so that all probes to one far end have one checksum, and equal-cost paths treat them alike (Paris
traceroute).
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from probe.model.packet import Flags, Protocol
from probe.wire.address import address_bytes
from probe.wire.checksum import checksum, pseudo_header

Kind = Literal["tcp", "icmp"]

_MSS = b"\x02\x04\x05\xb4"  # 1460 bytes (RFC 9293, section 3.7.1)
_WINDOW = 576


class Shape(msgspec.Struct, frozen=True):
    """The size of a kind's probes, and the offsets of their TTL and of their number (see :func:`numbered`)."""

    size: int
    ttl: int
    number: int


SHAPES: dict[tuple[int, Kind], Shape] = {
    (4, "tcp"): Shape(44, 8, 24),
    (6, "tcp"): Shape(64, 7, 44),
    (4, "icmp"): Shape(30, 8, 26),
    (6, "icmp"): Shape(50, 7, 46),
}
"""By IP version and kind."""


def numbered(number: int) -> int:
    """A number (16 bits) and what makes up for it, as the 32 bits that stand in the probe, big-endian."""
    return (number + 1) * 0xFFFF


def template(kind: Kind, source: str, destination: str, own: int, port: int) -> bytes:
    """A probe from local port (identifier of an echo) ``own``, with TTL 0 and number 0. The kernel fills in the
    checksum of an IPv4 header and its identification. Raises MalformedPacket where an address is none."""
    here, there = address_bytes(source), address_bytes(destination)
    protocol, body = _tcp(own, port) if kind == "tcp" else _echo(own, len(here))
    start = 0 if protocol == Protocol.ICMP else pseudo_header(here, there, protocol, len(body))
    at = 16 if kind == "tcp" else 2
    body = body[:at] + checksum(body, start).to_bytes(2, "big") + body[at + 2 :]
    if len(here) == 4:
        whole = 0x4000  # not to be fragmented
        return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, whole, 0, protocol, 0, here, there) + body
    return struct.pack(">IHBB16s16s", 0x60000000, len(body), protocol, 0, here, there) + body


def _tcp(own: int, port: int) -> tuple[int, bytes]:
    return Protocol.TCP, struct.pack(">HHHHIBBHHH", own, port, 0, 0xFFFF, 0, 0x60, Flags.SYN, _WINDOW, 0, 0) + _MSS


def _echo(own: int, size: int) -> tuple[int, bytes]:
    protocol, request = (Protocol.ICMP, 8) if size == 4 else (Protocol.ICMPV6, 128)
    return protocol, struct.pack(">BBHHHH", request, 0, 0, own, 0, 0xFFFF)
