"""A resolver that knows the world's names by heart; it can lie, dawdle, truncate and rotate."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Mapping
from typing import cast

from probe.lab.kinds import Resolver
from probe.lab.namespaces import Namespace
from probe.model.errors import MalformedPacket
from probe.wire import dns

PORT = 53


class Zone:
    """Answers by name. ``names``: name → addresses; a ``www.`` in front changes nothing. ``changed`` alters it."""

    def __init__(self, names: Mapping[str, tuple[str, ...]], changed: Iterable[Resolver] = ()) -> None:
        self._names = names
        self._changed = tuple(changed)
        self._asked = 0

    @property
    def delay(self) -> float:
        """Seconds to wait before an answer."""
        return max((change.delay for change in self._changed), default=0.0)

    def answer(self, query: dns.Message, *, stream: bool) -> dns.Message:
        """The response to a query; truncation spares TCP (``stream``)."""
        if len(query.questions) != 1:
            return dns.answer(query, rcode=dns.FORMERR)
        name = query.questions[0].name.lower()
        for change in self._changed:
            if any(name == word or name.endswith("." + word) for word in change.names):
                return self._lie(query, change.answer)
        addresses = self._names.get(name.removeprefix("www."))
        if addresses is None:
            return dns.answer(query, rcode=dns.NXDOMAIN)
        if not stream and any(change.truncate for change in self._changed):
            return dns.answer(query, truncated=True)
        return self._records(query, self._rotated(addresses))

    def _rotated(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        turns = [change.rotate for change in self._changed if change.rotate]
        if not turns:
            return addresses
        self._asked += 1
        return (turns[0][self._asked % len(turns[0])],)

    def _lie(self, query: dns.Message, answer: str) -> dns.Message:
        if answer in ("nxdomain", "refused"):
            return dns.answer(query, rcode=dns.NXDOMAIN if answer == "nxdomain" else dns.REFUSED)
        return self._records(query, (answer,))

    @staticmethod
    def _records(query: dns.Message, addresses: tuple[str, ...]) -> dns.Message:
        question = query.questions[0]
        fitting = [a for a in addresses if question.qtype == (dns.AAAA if ":" in a else dns.A)]
        return dns.answer(query, [dns.record(question.name, question.qtype, address) for address in fitting])


class ResolverServer:
    """Serves a zone on port 53, UDP and TCP, at the addresses given (so that answers leave from the one asked)."""

    def __init__(self, namespace: Namespace, addresses: Iterable[str], zone: Zone) -> None:
        self._namespace = namespace
        self._addresses = tuple(addresses)
        self._zone = zone
        self._transports: list[asyncio.BaseTransport] = []
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for address in self._addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            datagrams = self._namespace.socket(family, socket.SOCK_DGRAM)
            datagrams.bind((address, PORT))
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._zone), sock=datagrams)
            self._transports.append(transport)
            listener = self._namespace.socket(family, socket.SOCK_STREAM)
            listener.bind((address, PORT))
            self._servers.append(await asyncio.start_server(self._stream, sock=listener))

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, MalformedPacket):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                query = dns.decode(await reader.readexactly(size))
                await asyncio.sleep(self._zone.delay)
                writer.write(dns.framed(dns.encode(self._zone.answer(query, stream=True))))
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str | int, ...]) -> None:
        try:
            query = dns.decode(data)
        except MalformedPacket:
            return
        if query.response:
            return
        answer = dns.encode(self._zone.answer(query, stream=False))
        if self._zone.delay > 0:
            asyncio.get_running_loop().call_later(self._zone.delay, self._transport.sendto, answer, address)
        else:
            self._transport.sendto(answer, address)
