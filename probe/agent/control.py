"""The daemon's Unix socket: ad hoc runs, its status, pause and resume, for whoever is in the group.

JSON, one object a line. A client sends one request and reads until the end::

    {"command": "measure", "measurement": "dns_injection", "options": {"target": "example.com"}, "publish": false}
        → {"progress": "…"} …, then {"finding": {…}, "pcapng": "<base64>"} or {"error": "…", "exit_status": 1}
    {"command": "status"}  → one object
    {"command": "pause"}, {"command": "resume"}  → {"paused": {"home": "2026-01-01T00:00:00.000Z"}}, or {"error": …}
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from probe.agent.pause import Pause
from probe.agent.unix import UnixServer, failure, send
from probe.model.errors import ColibriError
from probe.model.finding import Finding

_LONGEST_ANSWER = 256 << 20
_AT_ONCE = 2


class MeasureRequest(msgspec.Struct, tag_field="command", tag="measure", forbid_unknown_fields=True):
    """Run one measurement now. ``publish``: its finding goes to the feed, too."""

    measurement: str
    options: dict[str, Any] = {}
    publish: bool = False


class StatusRequest(msgspec.Struct, tag_field="command", tag="status", forbid_unknown_fields=True):
    """Say what the daemon is doing."""


class PauseRequest(msgspec.Struct, tag_field="command", tag="pause", forbid_unknown_fields=True):
    """Measure nothing until told to resume."""


class ResumeRequest(msgspec.Struct, tag_field="command", tag="resume", forbid_unknown_fields=True):
    """Take the household's pause back."""


Request = MeasureRequest | StatusRequest | PauseRequest | ResumeRequest
Measure = Callable[[MeasureRequest, Callable[[str], None]], Awaitable[tuple[Finding, bytes]]]


class ControlSocket(UnixServer):
    """Serves requests at ``path`` to the members of the group; see :class:`probe.agent.unix.UnixServer`."""

    def __init__(
        self, path: Path, group: str, measure: Measure, status: Callable[[], dict[str, Any]], pause: Pause
    ) -> None:
        super().__init__(path, group, self._handle)
        self._measure, self._status, self._pause = measure, status, pause
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def _handle(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match msgspec.json.decode(line, type=Request):
            case MeasureRequest() as request:
                await self._run(request, reader, writer)
            case StatusRequest():
                send(writer, self._status())
            case PauseRequest():
                send(writer, self._hold(lambda: self._pause.hold("home")))
            case ResumeRequest():
                send(writer, self._hold(lambda: self._pause.release("home")))

    def _hold(self, change: Callable[[], None]) -> dict[str, Any]:
        try:
            change()
        except OSError as error:
            now = "it is paused until the daemon ends" if self._pause.on else "it is not paused"
            return failure(f"it can't be written down, so {now}: {error}", 1)
        return {"paused": self._pause.holders}

    async def _run(self, request: MeasureRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer() -> dict[str, Any]:
            if self._turns.locked():
                send(writer, {"progress": "waiting for other runs to end"})
            try:
                async with self._turns:
                    finding, packets = await self._measure(request, lambda text: send(writer, {"progress": text}))
            except ColibriError as error:
                return failure(str(error), error.exit_status)
            return {"finding": finding, "pcapng": base64.b64encode(packets).decode()}

        running = asyncio.ensure_future(answer())
        gone = asyncio.ensure_future(reader.read(1))  # a client says no more; an end means that nobody waits
        try:
            await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                send(writer, running.result())
        finally:
            running.cancel()
            gone.cancel()
            await asyncio.gather(running, gone, return_exceptions=True)


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
