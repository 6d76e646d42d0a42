"""The daemon's Unix socket: ad hoc runs, its status, pause and resume, for whoever is in the group.

JSON, one object a line. A client sends one request and reads until the end::

    {"command": "measure", "measurement": "dns_injection", "options": {"target": "example.com"}, "publish": false}
        → {"progress": "…"} …, then {"finding": {…}, "pcapng": "<base64>"} or {"error": "…", "exit_status": 1}
    {"command": "status"}  → one object
    {"command": "pause"}, {"command": "resume"}  → {"paused": {"home": "2026-01-01T00:00:00.000Z"}}, or {"error": …}
    {"command": "probe", "kind": "ports", "ports": [80], "count": 2}, then lists of targets, one a line, two in all
        → {"progress": "…"} …, {"row": {…}} …, {"failed": false, "lost": 0, "word": ""}, or {"error": …}
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec

from probe.agent.pause import Pause
from probe.agent.thousands import MOST, Thousands, give_back
from probe.agent.unix import UnixServer, failure, send
from probe.engine.bulk.wanted import Wanted
from probe.model.errors import ColibriError
from probe.model.finding import Finding

_LONGEST_ANSWER = 256 << 20
_AT_ONCE = 2
_LIST_WITHIN, _TAKEN_WITHIN = 10.0, 60.0  # seconds for the list of targets to come, and for rows to be taken
_ROWS = 64  # rows that are made before others have their turn


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


class ProbeRequest(Wanted, frozen=True, tag_field="command", tag="probe", forbid_unknown_fields=True):
    """Work by the thousand; ``count`` targets more follow, in lines of their own (a request is of 64 KiB at most)."""

    count: Annotated[int, msgspec.Meta(ge=0, le=MOST)] = 0


Request = MeasureRequest | StatusRequest | PauseRequest | ResumeRequest | ProbeRequest
Measure = Callable[[MeasureRequest, Callable[[str], None]], Awaitable[tuple[Finding, bytes]]]


class ControlSocket(UnixServer):
    """Serves requests at ``path`` to the members of the group; see :class:`probe.agent.unix.UnixServer`."""

    def __init__(
        self, path: Path, group: str, measure: Measure, status: Callable[[], dict[str, Any]], pause: Pause,
        thousands: Thousands,
    ) -> None:  # fmt: skip
        super().__init__(path, group, self._handle)
        self._measure, self._status, self._pause, self._thousands = measure, status, pause, thousands
        self._turns, self._turn = asyncio.Semaphore(_AT_ONCE), asyncio.Lock()

    async def _handle(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match msgspec.json.decode(line, type=Request):
            case MeasureRequest() as request:
                await _while_there(reader, self._run(request, writer))
            case ProbeRequest() as request:
                wanted = await _whole(request, reader)
                await _while_there(reader, self._by_the_thousand(wanted, writer))
                asyncio.get_running_loop().call_soon(give_back)  # when nothing here holds on to it
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

    async def _run(self, request: MeasureRequest, writer: asyncio.StreamWriter) -> None:
        if self._turns.locked():
            send(writer, {"progress": "waiting for other runs to end"})
        try:
            async with self._turns:
                finding, packets = await self._measure(request, lambda text: send(writer, {"progress": text}))
        except ColibriError as error:
            send(writer, failure(str(error), error.exit_status))
        else:
            send(writer, {"finding": finding, "pcapng": base64.b64encode(packets).decode()})

    async def _by_the_thousand(self, wanted: Wanted, writer: asyncio.StreamWriter) -> None:
        """One job at a time, until its rows are taken: they are memory of ours."""
        if self._turn.locked():
            send(writer, {"progress": "waiting for another job to end"})
        async with self._turn:
            try:
                told = await self._thousands.perform(wanted)
            except ColibriError as error:
                send(writer, failure(str(error), error.exit_status))
                return
            while rows := list(itertools.islice(told.rows, _ROWS)):
                for row in rows:
                    send(writer, {"row": row})
                await asyncio.sleep(0)  # drain() gives nobody a turn while there is room
                try:
                    async with asyncio.timeout(_TAKEN_WITHIN):
                        await writer.drain()
                except TimeoutError:  # others wait for their turn, and these rows are memory of ours
                    writer.transport.abort()
                    return
            send(writer, {"failed": told.failed, "lost": told.lost, "word": told.word})


async def _whole(request: ProbeRequest, reader: asyncio.StreamReader) -> Wanted:
    """With the targets that follow it. Raises ValueError for lines that are no lists of so many, TimeoutError."""
    targets = list(request.targets)
    async with asyncio.timeout(_LIST_WITHIN):
        while (missing := request.count + len(request.targets) - len(targets)) > 0:
            targets += (more := msgspec.json.decode(await reader.readline(), type=list[str]))
            if not 0 < len(more) <= missing:
                raise ValueError(f"{len(more)} targets, where {missing} were to come")
    return msgspec.structs.replace(request, targets=targets)


async def _while_there(reader: asyncio.StreamReader, work: Coroutine[Any, Any, None]) -> None:
    """Do it for as long as the client waits for it. Raises what ``work`` raises."""
    running = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(reader.read(1))  # a client says no more; an end means that nobody waits
    try:
        await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
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
