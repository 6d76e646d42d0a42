"""TLS ended on the way, with certificates of the one who does it."""

from __future__ import annotations

import asyncio
import socket
import ssl

from probe.lab.kinds import TlsMitm
from probe.lab.namespaces import Namespace
from probe.lab.servers.accept import Acceptor, meant_for, pump, readable, streams
from probe.lab.servers.certificate import Authority
from probe.wire import tls

_PATIENCE = 10.0
_LOOK_AGAIN, _LOOKS = 0.01, 30  # at a first message that is not whole: seconds between two looks, and how many


class TlsMitmServer:
    """Listens on ``port`` of a router whose kernel redirects connections to it."""

    def __init__(self, namespace: Namespace, spec: TlsMitm, port: int) -> None:
        self._namespace = namespace
        self._spec = spec
        self._authority = Authority(spec.issuer)
        # It does not check the server's certificate: most don't well. (Nor does it load this machine's authorities.)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        self._client.verify_mode = ssl.CERT_NONE
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._acceptor = Acceptor(namespace, [port], self._serve)

    def start(self) -> None:
        self._acceptor.start()

    def close(self) -> None:
        self._acceptor.close()

    async def _serve(self, connection: socket.socket, _port: int) -> None:
        address, port = meant_for(connection)
        async with asyncio.timeout(_PATIENCE):
            name = await _name_of(connection)
            server = self._namespace.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            try:
                await asyncio.get_running_loop().sock_connect(server, (address, port))
            except OSError:
                server.close()
                connection.close()
                raise
        wanted = name is not None and any(word in name for word in self._spec.words)
        far_reader, far_writer = await self._far(server, (name or "localhost") if wanted else None)
        try:
            reader, writer = await streams(connection, ssl=self._context(name or "localhost") if wanted else None)
            try:
                await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
            finally:
                writer.close()
        finally:
            far_writer.close()

    def _context(self, name: str) -> ssl.SSLContext:
        if name not in self._contexts:
            self._contexts[name] = self._authority.context(name[:60], [name], chain=self._spec.chain)
        return self._contexts[name]

    async def _far(self, server: socket.socket, name: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Its own session with the server; None: no TLS."""
        if name is None:
            return await asyncio.open_connection(sock=server)
        return await asyncio.open_connection(sock=server, ssl=self._client, server_hostname=name)


async def _name_of(connection: socket.socket) -> str | None:
    """The name in a ClientHello, "" for one without; None for what is none. Nothing is taken from the connection."""
    await readable(connection)
    for _ in range(_LOOKS):
        first = connection.recv(16384, socket.MSG_PEEK)
        if first[:1] != b"\x16":
            return None
        if len(first) >= 5 + int.from_bytes(first[3:5], "big"):
            return (tls.server_name(first) or "").lower()
        await asyncio.sleep(_LOOK_AGAIN)
    return None
