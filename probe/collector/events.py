"""Server-sent events (WHATWG HTML, section 9.2): every viewer gets each change once, in order.

The id of an event is the store's number of the change, so that a viewer who comes back (``Last-Event-ID``) is given
what changed since then from the store itself: there is no log of events to keep.

A change is encoded once for all who watch, and written to all in one turn of the event loop. A viewer who does not
read waits for nobody but itself: what is meant for it is kept up to a bound, then it is given up, and once it reads
again its stream ends, so that it comes back by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

WAITING = 64
"""Most batches that may wait for one viewer; a slower one is dropped and comes back by itself."""
VIEWERS = 5000
"""Most at a time, in all languages."""
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent, so that no proxy closes the connection."""
RETRY_MS = 3000
PAUSE = 0.1
"""Seconds at the least between two looks at the store, however fast findings come. What comes alone is told at once."""
_SHARE = 4
"""So many times as long as it took to tell them, viewers are left alone, so that a crowd takes a fifth of the time."""
_ALIVE = b": still here\n\n"


class Update(msgspec.Struct, frozen=True):
    """What one look at the store brought: encoded events with the number of their change, and the newest number.

    Not frozen in one text: a viewer who caught up in between has seen the first of them.
    """

    events: list[tuple[int, str]]
    change: int

    def after(self, change: int) -> str:
        """The events that came after a change."""
        return "".join(text for number, text in self.events if number > change)


Changes = Callable[[int], Awaitable[Update]]
"""Encoded events for everything that changed after a number (none: nothing did)."""


AtOnce = Callable[[bytes], bool]
"""Writes a piece of a stream if that makes nobody wait; whether it did."""


def encode(event: str, data: object, change: int | None = None) -> str:
    """One event. The data is JSON on one line: whatever text is inside can't break the framing."""
    head = f"id: {change}\n" if change is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n"


class _Batch:
    """An update as bytes, made once for all viewers who have seen the same."""

    def __init__(self, update: Update) -> None:
        self.change = update.change
        self._update = update
        self._bytes: dict[int, bytes] = {}

    def after(self, change: int) -> bytes:
        known = self._bytes.get(change)
        if known is None:
            known = self._bytes[change] = self._update.after(change).encode()
        return known


class _Viewer:
    """What waits for one viewer. ``None`` among it is a sign of life."""

    def __init__(self, after: int, at_once: AtOnce) -> None:
        """Needs a running event loop."""
        self.after = after
        """The number of the newest change that it has."""
        self.at_once = at_once
        self.waiting: list[_Batch | None] = []
        self.gone = False
        self._idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.set_result(None)  # it has not asked for anything yet

    @property
    def idle(self) -> bool:
        """Whether it has taken everything and waits for more."""
        return not self._idle.done()

    def news(self, batch: _Batch | None) -> bytes:
        """What it has not seen yet of a batch; empty: nothing."""
        if batch is None:
            return _ALIVE
        return batch.after(self.after) if batch.change > self.after else b""

    def seen(self, batch: _Batch | None) -> None:
        if batch is not None:
            self.after = max(self.after, batch.change)

    def wake(self) -> None:
        if self.idle:
            self._idle.set_result(None)

    async def take(self) -> list[_Batch | None]:
        """All that waits; none: it is over."""
        while not self.waiting and not self.gone:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        some, self.waiting = self.waiting, []
        return [] if self.gone else some


class _Room:
    """The viewers of one language."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.viewers: set[_Viewer] = set()
        self.change = 0

    async def look(self) -> _Batch | None:
        """What is new to them. Nothing is rendered for nobody; whoever comes asks the store first."""
        update = await self.changes(self.change) if self.viewers else None
        if update is None or not update.events:
            return None
        self.change = update.change
        return _Batch(update)


class Hub:
    """Hands updates to viewers, each in its language. Everything runs in one event loop, save :meth:`wake`."""

    def __init__(self, changes: Mapping[str, Changes], pause: float = PAUSE) -> None:
        """``changes``: by language; ``pause``: seconds between two looks at the store. Needs a running event loop."""
        self._rooms = {language: _Room(one) for language, one in changes.items()}
        self._pause = pause
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._told = time.monotonic()
        self.dropped = 0
        """How many were too slow."""
        self.streams = 0
        """Streams that have not ended, those of dropped viewers who do not read included."""

    @property
    def viewers(self) -> int:
        """How many are watching, whatever their language."""
        return sum(len(room.viewers) for room in self._rooms.values())

    def wake(self) -> None:
        """Something was committed. From any thread; after the loop is gone it does nothing."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self, change: int) -> None:
        """Follow the store from ``change`` on, until cancelled."""
        for room in self._rooms.values():
            room.change = change
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    await self._changed.wait()
            spent = 0.0
            if self._changed.is_set():
                self._changed.clear()
                # One language after the other: threads that render side by side only take the interpreter from one
                # another, and from those who are being told.
                looked = [(room, await room.look()) for room in self._rooms.values()]
                news = [(room, batch) for room, batch in looked if batch is not None]
                if news:
                    spent = await self._tell(news)
            if time.monotonic() - self._told >= KEEP_ALIVE:
                spent += await self._tell([(room, None) for room in self._rooms.values()])
            await asyncio.sleep(max(self._pause, _SHARE * spent))

    def close(self) -> None:
        """End every stream, and any that is asked for later."""
        self._closed = True
        for room in self._rooms.values():
            for viewer in list(room.viewers):
                self._drop(room, viewer)

    async def stream(self, language: str, after: int, at_once: AtOnce = lambda _: False) -> AsyncIterator[bytes]:
        """The events of one viewer who has seen everything up to ``after``, save what ``at_once`` has taken."""
        if self._closed:
            return
        room, viewer = self._rooms[language], _Viewer(after, at_once)
        room.viewers.add(viewer)  # before the look at the store, so that nothing falls between the two
        self.streams += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            missed = await room.changes(after)
            if missed.events:
                viewer.after = missed.change
                yield missed.after(-1).encode()
            while some := await viewer.take():
                for batch in some:
                    if piece := viewer.news(batch):
                        viewer.seen(batch)
                        yield piece
        finally:
            room.viewers.discard(viewer)
            self.streams -= 1

    async def _tell(self, news: Sequence[tuple[_Room, _Batch | None]]) -> float:
        """Returns how long it took, in seconds."""
        self._told = time.monotonic()
        for room, batch in news:
            self._hand_out(room, batch)
        await asyncio.sleep(0)  # comes back when those who could not take it at once have had their turn
        return time.monotonic() - self._told

    def _hand_out(self, room: _Room, batch: _Batch | None) -> None:
        for viewer in list(room.viewers):
            # A task that wakes up for it would cost about as much as the writing.
            if viewer.idle and viewer.at_once(viewer.news(batch)):
                viewer.seen(batch)
            elif len(viewer.waiting) >= WAITING:
                self.dropped += 1
                self._drop(room, viewer)
            else:
                viewer.waiting.append(batch)
                viewer.wake()

    def _drop(self, room: _Room, viewer: _Viewer) -> None:
        room.viewers.discard(viewer)
        viewer.gone = True
        viewer.waiting.clear()
        viewer.wake()


class EventStream(StreamingResponse):
    """The answer to a viewer: its stream, of which the hub writes by itself what the server takes at once."""

    def __init__(self, begin: Callable[[AtOnce], AsyncIterator[bytes]], headers: Mapping[str, str]) -> None:
        """``begin``: makes the stream."""
        self.status_code = 200
        self.media_type = "text/event-stream"
        self.background = None
        self.init_headers(headers)
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream: Any = self._begin(partial(_at_once, send))
        self.body_iterator = stream
        try:
            await super().__call__(scope, receive, send)
        finally:
            await stream.aclose()


def _at_once(send: Send, piece: bytes) -> bool:
    """Write by the server's own ``send``, as far as that goes without waiting. Uvicorn's waits before it writes, if
    ever: where what was written before is still with the kernel."""
    if not piece:
        return True
    sending: Any = send({"type": "http.response.body", "body": piece, "more_body": True}).__await__()
    try:
        next(sending)
    except StopIteration:
        return True
    except Exception:  # noqa: BLE001 - the viewer's own task will meet it, and end that stream alone
        return False
    sending.close()
    return False
