"""What the kernel tells of routes and addresses: rtnetlink's messages (rtnetlink(7), netlink(7), linux/rtnetlink.h).

The three messages that a line's identity needs, so that no netlink library has to stay in the daemon's memory (pyroute2
costs 9 MB there). The lab speaks netlink through pyroute2, which is the oracle in the tests. All integers are the
machine's own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from struct import Struct

import msgspec

from probe.model.errors import MalformedPacket

DONE, ERROR = 3, 2
"""Types of message that end a dump."""
NEW_ADDRESS, GET_ADDRESS = 20, 22
NEW_ROUTE, GET_ROUTE = 24, 26
GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""Multicast groups of all that changes a line: RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE."""

_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_ROUTE = Struct("=BBBBBBBBI")  # family, lengths of destination and source, TOS, table, protocol, scope, type, flags
_ADDRESS = Struct("=BBBBI")  # family, prefix length, flags, scope, interface
_ATTRIBUTE = Struct("=HH")
_NEXT_HOP = Struct("=HBBi")  # length, flags, hops, interface
_NUMBER = Struct("=I")
_REQUEST_DUMP = 0x1 | 0x300
_TYPE_BITS = 0x3FFF  # above: nested, and byte order
_UNICAST = 1
_OUT, _GATEWAY, _PRIORITY, _MULTIPATH, _TABLE, _VIA = 4, 5, 6, 9, 15, 18  # RTA_…
_PREFIX_ADDRESS, _LOCAL = 1, 2  # IFA_…


class Message(msgspec.Struct, frozen=True):
    """One message: its type, the request's number that it answers (0: an event), and what follows the header."""

    kind: int
    sequence: int
    body: bytes


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A unicast route. ``family``: 2 (IPv4) or 10; ``interface``: its number, 0 without one; ``gateway``: empty if
    there is none. Of several next hops, the first."""

    family: int
    length: int
    table: int
    interface: int = 0
    gateway: str = ""
    priority: int = 0


class Address(msgspec.Struct, frozen=True):
    """An address of an interface, and the length of its prefix. ``scope``: 0 for one that is good everywhere."""

    interface: int
    scope: int
    address: str
    length: int


def dump(kind: int, sequence: int, family: int = 0) -> bytes:
    """The request for all routes (:data:`GET_ROUTE`) or addresses (:data:`GET_ADDRESS`); ``family`` 0: of every one."""
    body = bytes((family,)) + bytes((_ROUTE.size if kind == GET_ROUTE else _ADDRESS.size) - 1)
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, sequence, 0) + body


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram. Raises MalformedPacket."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise MalformedPacket(f"rtnetlink: header cut off at byte {at}")
        length, kind, _flags, sequence, _port = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            raise MalformedPacket(f"rtnetlink: message of {length} bytes at byte {at} of {len(data)}")
        yield Message(kind, sequence, data[at + _HEADER.size : at + length])
        at += _aligned(length)


def route(body: bytes) -> Route | None:
    """The route in a message; None of another kind (unreachable, local …). Raises MalformedPacket."""
    family, length, _, _, table, _, _, kind, _ = _unpack(_ROUTE, body)
    found = _attributes(body, _ROUTE.size)
    if kind != _UNICAST or family not in (2, 10):
        return None
    table = _number(found.get(_TABLE)) or table
    priority = _number(found.get(_PRIORITY))
    interface = _number(found.get(_OUT))
    if hops := found.get(_MULTIPATH):
        first, _, _, interface = _unpack(_NEXT_HOP, hops)
        found |= _attributes(hops[:first], _NEXT_HOP.size)
    gateway = found.get(_GATEWAY) or found.get(_VIA, b"")[2:]
    return Route(
        family=family, length=length, table=table, interface=interface, gateway=_text(gateway) if gateway else "",
        priority=priority,
    )  # fmt: skip


def address(body: bytes) -> Address | None:
    """The address in a message, ours where there is a peer; None of families other than IP. Raises MalformedPacket."""
    family, length, _, scope, interface = _unpack(_ADDRESS, body)
    found = _attributes(body, _ADDRESS.size)
    own = found.get(_LOCAL) or found.get(_PREFIX_ADDRESS)
    return Address(interface, scope, _text(own), length) if own and family in (2, 10) else None


def _attributes(body: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at < len(body):
        if len(body) - at < _ATTRIBUTE.size:
            raise MalformedPacket(f"rtnetlink: attribute cut off at byte {at}")
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if not _ATTRIBUTE.size <= length <= len(body) - at:
            raise MalformedPacket(f"rtnetlink: attribute of {length} bytes at byte {at} of {len(body)}")
        found[kind & _TYPE_BITS] = body[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _unpack(fields: Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < fields.size:
        raise MalformedPacket(f"rtnetlink: {len(body)} bytes where {fields.size} belong")
    return fields.unpack_from(body)


def _number(value: bytes | None) -> int:
    if value is None:
        return 0
    found: int = _unpack(_NUMBER, value)[0]
    return found


def _text(value: bytes) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise MalformedPacket(f"rtnetlink: address of {len(value)} bytes") from None


def _aligned(length: int) -> int:
    return (length + 3) & ~3
