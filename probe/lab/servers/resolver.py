"""A resolver: DNS over UDP, TCP, TLS and HTTPS. What it does not know by heart it asks of the one server that does."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import socket
import ssl
from collections.abc import Iterable
from typing import cast

import msgspec

from probe.lab.namespaces import Namespace
from probe.lab.servers.zone import Zone
from probe.model.errors import MalformedPacket
from probe.wire import dns

PORT, _OVER_TLS, _OVER_HTTPS = 53, 853, 443
_PATIENCE = 2.0  # seconds for the other server
_TRUNCATED, _RECURSION = 0x02, 0x80  # TC in the third byte of a message, RA in the fourth
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_GET = re.compile(rb"GET /dns-query\?dns=([\w-]+)")


class Elsewhere(msgspec.Struct, frozen=True):
    """A zone that another server answers for: names below ``zone`` are asked of ``address``, from ``source``."""

    zone: str
    address: str
    source: str


class ResolverServer:
    """Serves a zone on port 53, UDP and TCP, at the addresses given (so that answers leave from the one asked).

    ``context``: DNS over TLS and HTTPS are spoken with it. ``elsewhere``: what others know.
    """

    def __init__(
        self, namespace: Namespace, addresses: Iterable[str], zone: Zone,
        context: ssl.SSLContext | None = None, elsewhere: Elsewhere | None = None,
    ) -> None:  # fmt: skip
        self._namespace = namespace
        self._addresses = tuple(addresses)
        self._zone = zone
        self._context = context if zone.encrypted else None
        self._elsewhere = elsewhere
        self._transports: list[asyncio.BaseTransport] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for address in self._addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            datagrams = self._namespace.socket(family, socket.SOCK_DGRAM)
            datagrams.bind((address, PORT))
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
            self._transports.append(transport)
            await self._listen(address, PORT, None)
            if self._context is not None:
                await self._listen(address, _OVER_TLS, self._context)
                await self._listen(address, _OVER_HTTPS, self._context)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()

    def respond(self, data: bytes, address: tuple[str | int, ...], transport: asyncio.DatagramTransport) -> None:
        """Answer a datagram, in a task of its own."""

        async def work() -> None:
            answer = await self._answer(data, str(address[0]), stream=False)
            if answer is not None and not transport.is_closing():
                transport.sendto(answer, address)

        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, address: str, port: int, context: ssl.SSLContext | None) -> None:
        listener = self._namespace.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        serve = self._https if port == _OVER_HTTPS else self._stream
        self._servers.append(await asyncio.start_server(serve, sock=listener, ssl=context))

    async def _answer(self, data: bytes, client: str, *, stream: bool) -> bytes | None:
        """The response to a query; None to what is no query."""
        try:
            query = dns.decode(data)
        except MalformedPacket:
            return None
        if query.response:
            return None
        await asyncio.sleep(self._zone.delay)
        other = self._elsewhere
        if other is not None and len(query.questions) == 1 and query.questions[0].qclass == dns.IN:
            name = query.questions[0].name.lower()
            if name.endswith("." + other.zone) and not self._zone.lies_about(name):
                return await self._ask(other, data, query)
        return dns.encode(self._zone.answer(query, stream=stream, client=client))

    async def _ask(self, other: Elsewhere, data: bytes, query: dns.Message) -> bytes:
        """What the other server says: over UDP, and over TCP where that was cut short."""
        for over_tcp in (False, False, True):
            with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_PATIENCE):
                    found = await (self._over_tcp if over_tcp else self._over_udp)(other, data)
                    if found[2] & _TRUNCATED and not over_tcp:
                        found = await self._over_tcp(other, data)
                    return found[:3] + bytes((found[3] | _RECURSION,)) + found[4:]
        return dns.encode(dns.answer(query, rcode=dns.SERVFAIL))

    def _asker(self, other: Elsewhere, kind: int) -> socket.socket:
        asker = self._namespace.socket(socket.AF_INET6 if ":" in other.address else socket.AF_INET, kind)
        asker.bind((other.source, 0))
        return asker

    async def _over_udp(self, other: Elsewhere, data: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        with self._asker(other, socket.SOCK_DGRAM) as asker:
            await loop.sock_sendto(asker, data, (other.address, PORT))
            return await loop.sock_recv(asker, 4096)

    async def _over_tcp(self, other: Elsewhere, data: bytes) -> bytes:
        asker = self._asker(other, socket.SOCK_STREAM)
        try:
            await asyncio.get_running_loop().sock_connect(asker, (other.address, PORT))
        except BaseException:
            asker.close()
            raise
        reader, writer = await asyncio.open_connection(sock=asker)
        try:
            writer.write(dns.framed(data))
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = str(writer.get_extra_info("peername")[0])
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                answer = await self._answer(await reader.readexactly(size), client, stream=True)
                if answer is None:
                    break
                writer.write(dns.framed(answer))
                await writer.drain()
        writer.close()

    async def _https(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """RFC 8484, one request a connection."""
        client = str(writer.get_extra_info("peername")[0])
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length, asked = _LENGTH.search(head), _GET.match(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if asked:
                with contextlib.suppress(binascii.Error):
                    body = base64.urlsafe_b64decode(asked[1] + b"==")
            answer = await self._answer(body, client, stream=True)
            status = b"400 Bad Request" if answer is None else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/dns-message\r\nConnection: close\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(answer or b"") + (answer or b""))
            await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: ResolverServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str | int, ...]) -> None:
        self._server.respond(data, address, self._transport)
