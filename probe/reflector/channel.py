"""A connection's bytes, in the clear or inside TLS; and bulk transfers over it, at a pace."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Protocol

from probe.model.reflector import Transfer
from probe.reflector.limits import Table
from probe.wire.reflector import twin

RATE = 20_000_000
"""Bits a second of one transfer at most."""
_PIECE = 16_384
_RECORD = b"\x17\x03\x03\x40\x00"  # application data of 16 KiB (RFC 8446, 5.1)
_ALERT = b"\x15\x03\x03\x00\x02\x02\x50"  # fatal, internal_error (RFC 8446, 6)
_TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_READ = 65_536
_FAREWELL = 2.0
# Nothing compresses it, and every transfer is the same.
_FILLING = hashlib.shake_256(b"colibri filling").digest(_PIECE)


class Channel(Protocol):
    """A way to send and receive bytes of a connection. Both raise OSError where it has ended badly."""

    async def send(self, data: bytes) -> None:
        """Send all of it."""

    async def receive(self) -> bytes:
        """What came; empty at the end."""


class Plain:
    """A socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, _READ)


class Tls:
    """A TLS session over a socket, of which some bytes have come already."""

    def __init__(self, below: Plain, context: ssl.SSLContext, came: bytes) -> None:
        self._below = below
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._in, self._out, server_side=True)
        self._in.write(came)

    async def handshake(self) -> None:
        """Shake hands. Raises OSError (ssl.SSLError is one) where the client does not."""
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._more():
                    raise ConnectionResetError("the client left the handshake") from None
            except ssl.SSLError:
                await self._flush()  # the alert says why
                raise
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        self._session.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        while True:
            try:
                data = self._session.read(_READ)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._more():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            else:
                return data

    async def close(self) -> None:
        """Say that nothing more follows."""
        with contextlib.suppress(OSError):
            self._session.unwrap()
        with contextlib.suppress(OSError):
            await self._flush()

    async def _flush(self) -> None:
        if data := self._out.read():
            await self._below.send(data)

    async def _more(self) -> bool:
        data = await self._below.receive()
        self._in.write(data) if data else self._in.write_eof()
        return bool(data)


async def transfer(
    channel: Channel, wanted: Transfer, budget: Table, source: bytes, *, framed: bool, inverted: bool, head: bytes,
    came: int = 0,
) -> None:  # fmt: skip
    """Send or take as many bytes as ordered, until the time is over. ``head`` comes before what is sent, or after what
    was taken, of which so many bytes ``came`` behind the order.

    A source whose budget does not hold the whole order is refused at once, in so many words (HTTP's 429, TLS's alert
    ``internal_error``): a transfer that broke off or slowed down for our own reasons would look like somebody else's
    doing. Raises OSError where the connection breaks.
    """
    total = 1000 * wanted.kilobytes
    turned = twin if inverted else bytes
    if not budget.take(source, time.time(), total):
        await refuse(channel, framed=framed, inverted=inverted)
        return
    moved = 0
    try:
        rate = min(wanted.kbits * 1000 or RATE, RATE) / 8
        end = time.monotonic() + wanted.seconds
        with contextlib.suppress(TimeoutError):
            if wanted.direction == "up":
                async for size in _taken(channel, total - came, rate, end):
                    moved += size
            else:
                block = turned((_RECORD if framed else b"") + _FILLING)
                async for size in _given(channel, turned(head), block, total, rate, end):
                    moved += size
        if wanted.direction == "up":
            await channel.send(turned(head))
    finally:
        budget.give(source, max(0, total - moved))


async def refuse(channel: Channel, *, framed: bool, inverted: bool) -> None:
    """Say that there will be no transfer now. Raises OSError where the connection breaks."""
    words = _ALERT if framed else _TOO_MANY
    await channel.send(twin(words) if inverted else words)


async def _given(
    channel: Channel, head: bytes, block: bytes, total: int, rate: float, end: float
) -> AsyncIterator[int]:
    """Sends; yields how many bytes each time."""
    if head:
        await channel.send(head)
    began, sent = time.monotonic(), 0
    # Small pieces where it is slow, so that the pace is even.
    most = max(512, min(len(block), int(rate * 0.02)))
    while sent < total and time.monotonic() < end:
        piece = _slice(block, sent, min(most, total - sent))
        async with asyncio.timeout(max(0.01, end - time.monotonic())):
            await channel.send(piece)
        sent += len(piece)
        yield len(piece)
        await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))


def _slice(block: bytes, at: int, size: int) -> bytes:
    """``size`` bytes of the endless repetition of ``block``."""
    start = at % len(block)
    return (block[start:] + block * (size // len(block) + 1))[:size]


async def _taken(channel: Channel, total: int, rate: float, end: float) -> AsyncIterator[int]:
    """Takes what comes; yields how many bytes each time."""
    began, taken = time.monotonic(), 0
    while taken < total:
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            data = await channel.receive()
        if not data:
            return
        taken += len(data)
        yield len(data)
        await asyncio.sleep(max(0.0, began + taken / rate - time.monotonic()))


async def farewell(sock: socket.socket) -> None:
    """End a connection so that nothing is torn: FIN, then wait for the other end's, so that no reset is ever sent.

    (A socket that is closed with bytes unread sends a reset: to a probe, that is what a forger's looks like.)
    """
    with contextlib.suppress(OSError, TimeoutError):
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(_FAREWELL):
            while await asyncio.get_running_loop().sock_recv(sock, _READ):
                pass
