"""A Unix socket of the daemon: one line of JSON in, lines of JSON out, for the members of one group."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from probe.model.errors import CannotMeasure

log = logging.getLogger(__name__)

LONGEST_REQUEST = 64 * 1024
"""Most bytes of a request."""
_REQUEST_WITHIN = 10.0

Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UnixServer:
    """Serves requests at ``path``, readable and writable for the group; use it as an async context.

    ``serve`` is given the line of each client; its ValueError (a line that is no request) is answered with one line.
    Entering raises CannotMeasure where another daemon listens there, OSError where the folder can't be used.
    """

    def __init__(self, path: Path, group: str, serve: Serve) -> None:
        self._path, self._group, self._answer = path, group, serve
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._clear_the_way()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before = os.umask(0o117)  # 0660 from the first moment on
        try:
            self._server = await asyncio.start_unix_server(self._accept, self._path, limit=LONGEST_REQUEST)
        finally:
            os.umask(before)
        try:
            wanted = grp.getgrnam(self._group).gr_gid
            if self._path.stat().st_gid != wanted:  # under systemd the folder's group may be ours already
                os.chown(self._path, -1, wanted)
        except (KeyError, PermissionError) as error:
            log.warning("%s stays the daemon's own: group %r: %s", self._path, self._group, error)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _clear_the_way(self) -> None:
        if not self._path.is_socket():
            return
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            self._path.unlink(missing_ok=True)  # of a daemon that was killed
        else:
            writer.close()
            raise CannotMeasure(f"another daemon listens at {self._path}", "stop it first")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._clients.add(task)
        try:
            with contextlib.suppress(ConnectionError):
                await task
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_WITHIN):
                line = await reader.readline()
            await self._answer(line, reader, writer)
        except TimeoutError:
            send(writer, failure("no request came", 2))
        except ValueError as error:  # msgspec's are ValueErrors; so is a line that is too long
            send(writer, failure(f"bad request: {error}", 2))
        await writer.drain()


def failure(text: str, status: int) -> dict[str, Any]:
    """An answer that says why not, and with what exit status a command ends for it."""
    return {"error": " ".join(text.split()), "exit_status": status}


def send(writer: asyncio.StreamWriter, message: object) -> None:
    """Write one line, unless the client has gone."""
    if not writer.is_closing():
        writer.write(msgspec.json.encode(message) + b"\n")
