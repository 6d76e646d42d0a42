"""A web server: HTTP on any port, TLS on 443. It answers any name, or resets what it does not know."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Collection

from probe.lab.kinds import Web
from probe.lab.namespaces import Namespace
from probe.lab.servers.accept import Acceptor, readable, reset, streams
from probe.model.errors import MalformedPacket
from probe.wire import http, tls

_TLS_PORT = 443
_PATIENCE = 10.0  # seconds that a client may take for its request
_LOOK_AGAIN = 0.01  # seconds between two looks at a first message that is not whole
_LOOKS = 30


class WebServer:
    """Serves every address of a namespace. ``known``: the names that are its own."""

    def __init__(self, namespace: Namespace, spec: Web, context: ssl.SSLContext, known: Collection[str]) -> None:
        self._acceptor = Acceptor(namespace, spec.ports, self._serve)
        self._spec = spec
        self._context = context
        self._known = known

    def start(self) -> None:
        self._acceptor.start()

    def close(self) -> None:
        self._acceptor.close()

    async def _serve(self, connection: socket.socket, port: int) -> None:
        secure = port == _TLS_PORT
        if not await self._welcome(connection, secure=secure):
            reset(connection)
            return
        reader, writer = await streams(connection, ssl=self._context if secure else None)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(page(head))
            await writer.drain()
        finally:
            writer.close()

    async def _welcome(self, connection: socket.socket, *, secure: bool) -> bool:
        """Look at the first message without taking it: False if the connection is to be reset."""
        idle = self._spec.idle_reset
        try:
            async with asyncio.timeout(idle or _PATIENCE):
                await readable(connection)
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


def page(request: bytes) -> bytes:
    """A response with a page that greets by the Host of the request."""
    try:
        name = http.host(request) or "this site"
    except MalformedPacket:
        name = "this site"
    text = f"Welcome to {name}. " + "All is well. " * 20
    body = f"<html><head><title>{name}</title></head><body>{text}</body></html>".encode()
    head = f"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
