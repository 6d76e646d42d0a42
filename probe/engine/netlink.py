"""Routes, addresses, and word when they change, as the kernel tells them by rtnetlink."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from probe.model.errors import MalformedPacket
from probe.wire import rtnetlink

if TYPE_CHECKING:
    import asyncio

_PATIENCE = 2.0  # seconds
_RECEIVE = 1 << 16  # bytes: more than the kernel puts into one datagram


def look() -> tuple[list[rtnetlink.Route], list[rtnetlink.Address]]:
    """Unicast routes of all tables, and IP addresses, of this network namespace. Raises OSError where netlink does not
    tell."""
    with _socket() as netlink:
        try:
            routes = [rtnetlink.route(body) for body in _dump(netlink, rtnetlink.GET_ROUTE, 1)]
            addresses = [rtnetlink.address(body) for body in _dump(netlink, rtnetlink.GET_ADDRESS, 2)]
        except MalformedPacket as error:
            raise OSError(errno.EPROTO, str(error)) from None
    return [r for r in routes if r is not None], [a for a in addresses if a is not None]


def name(interface: int) -> str:
    """An interface's name. Raises OSError where there is none of that number (any more)."""
    return socket.if_indextoname(interface)


async def changes(settle: float) -> AsyncGenerator[None, None]:
    """Once at the start, then once after each burst of changes, ``settle`` seconds after its last. Raises OSError."""
    import asyncio  # here, for who only looks, without a loop: it is a third of a command's start

    loop = asyncio.get_running_loop()
    with _socket() as netlink:
        netlink.bind((0, rtnetlink.GROUPS))
        netlink.setblocking(False)
        yield
        while True:
            await _event(loop, netlink)
            with contextlib.suppress(TimeoutError):
                while True:  # until the burst is over
                    async with asyncio.timeout(settle):
                        await _event(loop, netlink)
            yield


async def _event(loop: asyncio.AbstractEventLoop, netlink: socket.socket) -> None:
    """What changed is not read: who waits looks for himself. So nothing is lost either where a burst overran us."""
    try:
        await loop.sock_recv(netlink, _RECEIVE)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise


def _socket() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


def _dump(netlink: socket.socket, kind: int, sequence: int) -> list[bytes]:
    """Bodies of the messages that answer a request. The kernel answers at once, and from memory."""
    netlink.settimeout(_PATIENCE)
    netlink.send(rtnetlink.dump(kind, sequence))
    found: list[bytes] = []
    while True:
        for message in rtnetlink.messages(netlink.recv(_RECEIVE)):
            if message.sequence != sequence:
                continue
            if message.kind == rtnetlink.DONE:
                return found
            if message.kind == rtnetlink.ERROR:
                raise OSError(-int.from_bytes(message.body[:4], sys.byteorder, signed=True), "netlink refused")
            found.append(message.body)
