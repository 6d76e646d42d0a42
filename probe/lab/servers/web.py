"""A web server: HTTP on any port, TLS on 443. It answers any name, or resets what it does not know."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Collection, Coroutine

from probe.lab.kinds import Web
from probe.lab.namespaces import Namespace
from probe.model.errors import MalformedPacket
from probe.wire import http, tls

_TLS_PORT = 443
_PATIENCE = 10.0  # seconds that a client may take for its request
_LOOK_AGAIN = 0.01  # seconds between two looks at a first message that is not whole
_LOOKS = 30


class WebServer:
    """Serves every address of a namespace. ``known``: the names that are its own."""

    def __init__(self, namespace: Namespace, spec: Web, context: ssl.SSLContext, known: Collection[str]) -> None:
        self._namespace = namespace
        self._spec = spec
        self._context = context
        self._known = known
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []

    def start(self) -> None:
        for port in self._spec.ports:
            listener = self._namespace.socket(socket.AF_INET6, socket.SOCK_STREAM)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", port))
            listener.listen(512)
            self._listeners.append(listener)
            self._spawn(self._accept(listener, secure=port == _TLS_PORT))

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners:
            listener.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, *, secure: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            self._spawn(self._serve(connection, secure=secure))

    async def _serve(self, connection: socket.socket, *, secure: bool) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if not await self._welcome(connection, secure=secure):
                _reset(connection)
                return
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context if secure else None
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_page(head))
                await writer.drain()
            finally:
                writer.close()

    async def _welcome(self, connection: socket.socket, *, secure: bool) -> bool:
        """Look at the first message without taking it: False if the connection is to be reset."""
        idle = self._spec.idle_reset
        try:
            async with asyncio.timeout(idle or _PATIENCE):
                await _readable(connection)
        except TimeoutError:
            return False
        if (self._spec.unknown_sni if secure else self._spec.unknown_host) == "serve":
            return True
        for _ in range(_LOOKS):
            first = connection.recv(4096, socket.MSG_PEEK)
            name = None
            with contextlib.suppress(MalformedPacket):
                name = tls.server_name(first) if secure else http.host(first)
            if name is not None:
                return name.lower().removeprefix("www.") in self._known
            await asyncio.sleep(_LOOK_AGAIN)
        return True


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _page(request: bytes) -> bytes:
    try:
        name = http.host(request) or "this site"
    except MalformedPacket:
        name = "this site"
    text = f"Welcome to {name}. " + "All is well. " * 20
    body = f"<html><head><title>{name}</title></head><body>{text}</body></html>".encode()
    head = f"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
