"""A door for one TCP port out of a namespace: all that leaves a lab, and only onto this machine's own loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from probe.lab.namespaces import Namespace

_CHUNK = 65536


class Relay:
    """Listens on loopback inside namespaces and hands every connection on to a port of our own loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._servers: list[asyncio.Server] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def open(self, namespace: Namespace) -> int:
        """Listen inside ``namespace``; returns the port there."""
        with namespace.inside():
            listener = socket.create_server(("127.0.0.1", 0))
        self._servers.append(await asyncio.start_server(self._serve, sock=listener))
        return int(listener.getsockname()[1])

    async def close(self) -> None:
        """End everything."""
        for server in self._servers:
            server.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._under_way.add(task)
        try:
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                return
            try:
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                far_writer.close()
        except asyncio.CancelledError:
            pass  # close() ends us
        finally:
            writer.close()
            if task is not None:
                self._under_way.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
