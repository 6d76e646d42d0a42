"""Server-sent events (WHATWG HTML, section 9.2): every viewer gets each change once, in order.

The id of an event is the store's number of the change, so that a viewer who comes back (``Last-Event-ID``) is given
what changed since then from the store itself: there is no log of events to keep.

A change is encoded once for all who watch. A viewer who does not read waits for nobody but itself: what is meant for it
is kept up to a bound, then it is given up, and once it reads again its stream ends, so that it comes back by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

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

    def __init__(self) -> None:
        self.waiting: list[_Batch | None] = []
        self.gone = False
        self._idle: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def take(self) -> list[_Batch | None]:
        """All that waits; none: it is over."""
        while not self.waiting and not self.gone:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        some, self.waiting = self.waiting, []
        return [] if self.gone else some


class Hub:
    """Hands updates to viewers. Everything runs in one event loop, save :meth:`wake`."""

    def __init__(self, changes: Changes, pause: float = PAUSE) -> None:
        """``pause``: seconds between two looks at the store."""
        self._changes = changes
        self._pause = pause
        self._viewers: set[_Viewer] = set()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._told = time.monotonic()
        self.dropped = 0
        self.streams = 0
        """Streams that have not ended, those of dropped viewers who do not read included."""

    @property
    def viewers(self) -> int:
        """How many are watching."""
        return len(self._viewers)

    def wake(self) -> None:
        """Something was committed. From any thread; after the loop is gone it does nothing."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self, change: int) -> None:
        """Follow the store from ``change`` on, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    await self._changed.wait()
            spent = 0.0
            if self._changed.is_set():
                self._changed.clear()
                # Nothing is rendered for nobody; whoever comes asks the store first.
                update = await self._changes(change) if self._viewers else Update([], change)
                if update.events:
                    change = update.change
                    spent = await self._tell(_Batch(update))
            if time.monotonic() - self._told >= KEEP_ALIVE:
                spent += await self._tell(None)
            await asyncio.sleep(max(self._pause, _SHARE * spent))

    def close(self) -> None:
        """End every stream, and any that is asked for later."""
        self._closed = True
        for viewer in list(self._viewers):
            self._drop(viewer)

    async def stream(self, after: int) -> AsyncIterator[bytes]:
        """The events of one viewer who has seen everything up to ``after``."""
        if self._closed:
            return
        viewer = _Viewer()
        self._viewers.add(viewer)  # before the look at the store, so that nothing falls between the two
        self.streams += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            missed = await self._changes(after)
            if missed.events:
                yield missed.after(-1).encode()
                after = missed.change
            while some := await viewer.take():
                for batch in some:
                    if batch is None:
                        yield _ALIVE
                    elif batch.change > after:
                        yield batch.after(after)
                        after = batch.change
        finally:
            self._viewers.discard(viewer)
            self.streams -= 1

    async def _tell(self, batch: _Batch | None) -> float:
        """Returns how long it took, in seconds."""
        self._told = time.monotonic()
        self._hand_out(batch)
        await asyncio.sleep(0)  # comes back when all viewers have had their turn
        return time.monotonic() - self._told

    def _hand_out(self, batch: _Batch | None) -> None:
        for viewer in list(self._viewers):
            if len(viewer.waiting) >= WAITING:
                self.dropped += 1
                self._drop(viewer)
            else:
                viewer.waiting.append(batch)
                viewer.wake()

    def _drop(self, viewer: _Viewer) -> None:
        self._viewers.discard(viewer)
        viewer.gone = True
        viewer.waiting.clear()
        viewer.wake()


class Hubs:
    """A hub for each language, woken and ended together."""

    def __init__(self, changes: Mapping[str, Changes], pause: float = PAUSE) -> None:
        """``changes``: by language. Needs a running event loop."""
        self._hubs = {language: Hub(one, pause) for language, one in changes.items()}

    @property
    def viewers(self) -> int:
        """How many are watching, whatever their language."""
        return sum(hub.viewers for hub in self._hubs.values())

    @property
    def streams(self) -> int:
        """How many connections they hold, those of dropped viewers who do not read included."""
        return sum(hub.streams for hub in self._hubs.values())

    @property
    def dropped(self) -> int:
        """How many were too slow."""
        return sum(hub.dropped for hub in self._hubs.values())

    def wake(self) -> None:
        """Something was committed. From any thread."""
        for hub in self._hubs.values():
            hub.wake()

    async def run(self, change: int) -> None:
        """Follow the store from ``change`` on, until cancelled; if one dies, all do."""
        await asyncio.gather(*(hub.run(change) for hub in self._hubs.values()))

    def close(self) -> None:
        """End every stream."""
        for hub in self._hubs.values():
            hub.close()

    def stream(self, language: str, after: int) -> AsyncIterator[bytes]:
        """The events of one viewer who has seen everything up to ``after``."""
        return self._hubs[language].stream(after)
