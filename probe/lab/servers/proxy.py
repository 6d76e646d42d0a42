"""A transparent HTTP proxy: what an operator's router does with connections that it took for itself."""

from __future__ import annotations

import asyncio
import socket

from probe.lab.kinds import HttpProxy
from probe.lab.namespaces import Namespace
from probe.lab.servers.accept import Acceptor, meant_for, streams

_PATIENCE = 10.0  # seconds for the request, and for the server
_MOST = 1 << 16  # bytes of an answer that is kept
_CHUNK = 65536


class HttpProxyServer:
    """Listens on ``port`` of a router whose kernel redirects connections to it."""

    def __init__(self, namespace: Namespace, spec: HttpProxy, port: int) -> None:
        self._namespace = namespace
        self._spec = spec
        self._acceptor = Acceptor(namespace, [port], self._serve)
        self._kept: dict[tuple[str, bytes], bytes] = {}

    def start(self) -> None:
        self._acceptor.start()

    def close(self) -> None:
        self._acceptor.close()

    async def _serve(self, connection: socket.socket, _port: int) -> None:
        address, port = meant_for(connection)
        client = connection.getpeername()[0].removeprefix("::ffff:")
        reader, writer = await streams(connection)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = changed(await reader.readuntil(b"\r\n\r\n"), self._spec, client)
                body = await reader.readexactly(_length(head))
            key = (address, head)
            if key not in self._kept:
                answer = await self._fetch(address, port, head + body)
                if not self._spec.cache or not answer.startswith(b"HTTP/1.1 200") or len(answer) > _MOST:
                    writer.write(answer)
                    await writer.drain()
                    return
                self._kept[key] = answer
            writer.write(self._kept[key])
            await writer.drain()
        finally:
            writer.close()

    async def _fetch(self, address: str, port: int, request: bytes) -> bytes:
        """The server's answer with the proxy's mark, or the proxy's own regret."""
        asker = self._namespace.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.get_running_loop().sock_connect(asker, (address, port))
                reader, writer = await asyncio.open_connection(sock=asker)
        except (OSError, TimeoutError):
            asker.close()
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        try:
            writer.write(request)
            found = bytearray()
            async with asyncio.timeout(_PATIENCE):
                while more := await reader.read(_CHUNK):
                    found += more
        except (OSError, TimeoutError):
            return b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        finally:
            writer.close()
        line, _, rest = bytes(found).partition(b"\r\n")
        mark = f"\r\nVia: {self._spec.via}\r\n".encode() if self._spec.via else b"\r\n"
        return line + mark + rest


def changed(head: bytes, spec: HttpProxy, client: str) -> bytes:
    """A request's head as the proxy passes it on: one request a connection, and its own lines added."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [tuple(map(bytes.strip, line.partition(b":")[::2])) for line in lines]
    fields = [(name, value) for name, value in fields if name.lower() not in (b"connection", b"keep-alive")]
    if spec.normalise:
        fields = [(b"-".join(part.capitalize() for part in name.split(b"-")), value) for name, value in fields]
    if spec.via:
        fields.append((b"Via", spec.via.encode()))
    if spec.forwarded:
        fields.append((b"X-Forwarded-For", client.encode()))
    fields.append((b"Connection", b"close"))
    return b"\r\n".join([first, *(name + b": " + value for name, value in fields)]) + b"\r\n\r\n"


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0
