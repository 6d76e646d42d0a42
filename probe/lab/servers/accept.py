"""Takes connections on ports of a namespace, each served by a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable

from probe.lab.namespaces import Namespace

Serve = Callable[[socket.socket, int], Awaitable[None]]
_ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST (linux/netfilter_ipv4.h, netfilter_ipv6)
_CHUNK = 65536


class Acceptor:
    """Listens on every address, IPv4 and IPv6. ``serve`` is handed each connection and the port that it came to."""

    def __init__(self, namespace: Namespace, ports: Iterable[int], serve: Serve) -> None:
        self._namespace = namespace
        self._ports = tuple(ports)
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []

    def start(self) -> None:
        for port in self._ports:
            listener = self._namespace.socket(socket.AF_INET6, socket.SOCK_STREAM)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", port))
            listener.listen(512)
            self._listeners.append(listener)
            self._spawn(self._accept(listener, port))

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners:
            # A cancelled sock_accept leaves its reader until the next turn, which may find a connection here already.
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, port: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            self._spawn(self._guard(connection, port))

    async def _guard(self, connection: socket.socket, port: int) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._serve(connection, port)


async def streams(connection: socket.socket, **how: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """asyncio's streams over a socket that was accepted; ``how``: as ``connect_accepted_socket`` takes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, **how)  # type: ignore[arg-type]
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def readable(connection: socket.socket) -> None:
    """Wait until something can be read, without reading it."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


def reset(connection: socket.socket) -> None:
    """End a connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def meant_for(connection: socket.socket) -> tuple[str, int]:
    """Address and port that a redirected connection was opened to. Raises OSError."""
    if connection.getpeername()[0].startswith("::ffff:"):
        raw = connection.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
        return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")
    raw = connection.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DESTINATION, 28)
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big")


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry everything on, and the end of it."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS has no half that could stay open
