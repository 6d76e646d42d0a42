"""The web server of a captive portal: whatever is asked, there is the login."""

from __future__ import annotations

import asyncio
import socket

from probe.lab.namespaces import Namespace
from probe.lab.servers.accept import Acceptor, streams

LOGIN = "http://login.portal.example/"
_PATIENCE = 10.0
_FIELDS = f"Location: {LOGIN}\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: close"
_ANSWER = f"HTTP/1.1 302 Found\r\n{_FIELDS}\r\n\r\n".encode()


class PortalServer:
    """Listens on ``port`` of a router whose kernel redirects connections to it."""

    def __init__(self, namespace: Namespace, port: int) -> None:
        self._acceptor = Acceptor(namespace, [port], self._serve)

    def start(self) -> None:
        self._acceptor.start()

    def close(self) -> None:
        self._acceptor.close()

    @staticmethod
    async def _serve(connection: socket.socket, _port: int) -> None:
        reader, writer = await streams(connection)
        try:
            async with asyncio.timeout(_PATIENCE):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(_ANSWER)
            await writer.drain()
        finally:
            writer.close()
