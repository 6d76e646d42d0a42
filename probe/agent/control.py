"""The daemon's Unix socket: ad hoc runs and its status, for whoever is in the group.

JSON, one object a line. A client sends one request and reads until the end::

    {"command": "measure", "measurement": "dns_injection", "options": {"target": "example.com"}, "publish": false}
        → {"progress": "…"} …, then {"finding": {…}, "pcapng": "<base64>"} or {"error": "…", "exit_status": 1}
    {"command": "status"}  → one object
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import grp
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from probe.model.errors import CannotMeasure, ColibriError
from probe.model.finding import Finding

log = logging.getLogger(__name__)

_LONGEST_REQUEST = 64 * 1024
_LONGEST_ANSWER = 256 << 20
_REQUEST_WITHIN = 10.0
_AT_ONCE = 2


class MeasureRequest(msgspec.Struct, tag_field="command", tag="measure", forbid_unknown_fields=True):
    """Run one measurement now. ``publish``: its finding goes to the feed, too."""

    measurement: str
    options: dict[str, Any] = {}
    publish: bool = False


class StatusRequest(msgspec.Struct, tag_field="command", tag="status", forbid_unknown_fields=True):
    """Say what the daemon is doing."""


Request = MeasureRequest | StatusRequest
Measure = Callable[[MeasureRequest, Callable[[str], None]], Awaitable[tuple[Finding, bytes]]]


class ControlSocket:
    """Serves requests at ``path``, readable and writable for the group; use it as an async context.

    Entering raises CannotMeasure where another daemon listens there, OSError where the folder can't be used.
    """

    def __init__(self, path: Path, group: str, measure: Measure, status: Callable[[], dict[str, Any]]) -> None:
        self._path, self._group, self._measure, self._status = path, group, measure, status
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._clear_the_way()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before = os.umask(0o117)  # 0660 from the first moment on
        try:
            self._server = await asyncio.start_unix_server(self._accept, self._path, limit=_LONGEST_REQUEST)
        finally:
            os.umask(before)
        try:
            wanted = grp.getgrnam(self._group).gr_gid
            if self._path.stat().st_gid != wanted:  # under systemd it is ours already, and chown is not allowed
                os.chown(self._path, -1, wanted)
        except (KeyError, PermissionError) as error:
            log.warning("the control socket stays the daemon's own: group %r: %s", self._group, error)
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
            request = msgspec.json.decode(line, type=Request)
        except TimeoutError:
            _send(writer, _error("no request came", 2))
        except ValueError as error:  # msgspec's are ValueErrors; so is a line that is too long
            _send(writer, _error(f"bad request: {error}", 2))
        else:
            if isinstance(request, StatusRequest):
                _send(writer, self._status())
            else:
                await self._run(request, reader, writer)
        await writer.drain()

    async def _run(self, request: MeasureRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer() -> dict[str, Any]:
            if self._turns.locked():
                _send(writer, {"progress": "waiting for other runs to end"})
            try:
                async with self._turns:
                    finding, packets = await self._measure(request, lambda text: _send(writer, {"progress": text}))
            except ColibriError as error:
                return _error(str(error), error.exit_status)
            return {"finding": finding, "pcapng": base64.b64encode(packets).decode()}

        running = asyncio.ensure_future(answer())
        gone = asyncio.ensure_future(reader.read(1))  # a client says no more; an end means that nobody waits
        try:
            await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                _send(writer, running.result())
        finally:
            running.cancel()
            gone.cancel()
            await asyncio.gather(running, gone, return_exceptions=True)


def _error(text: str, status: int) -> dict[str, Any]:
    return {"error": " ".join(text.split()), "exit_status": status}


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(msgspec.json.encode(message) + b"\n")


async def ask(path: str | Path, request: Request) -> AsyncIterator[dict[str, Any]]:
    """Send one request to a daemon; yields its answers, to the end.

    Raises FileNotFoundError or ConnectionRefusedError where no daemon runs, PermissionError for who is not in the
    group, ConnectionError where the daemon ends before its answer does.
    """
    reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_ANSWER)
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        await writer.drain()
        while line := await reader.readline():
            if not line.endswith(b"\n"):
                raise ConnectionError("the daemon ended in the middle of its answer")
            yield msgspec.json.decode(line)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
