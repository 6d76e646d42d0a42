"""Server-sent events (WHATWG HTML, section 9.2): every viewer gets each change once, in order.

The id of an event is the store's number of the change, so that a viewer who comes back (``Last-Event-ID``) is given
what changed since then from the store itself: there is no log of events to keep.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

WAITING = 64
"""Most batches that may wait for one viewer; a slower one is dropped and comes back by itself."""
VIEWERS = 5000
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent, so that no proxy closes the connection."""
RETRY_MS = 3000


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


class Hub:
    """Hands updates to viewers. Everything runs in one event loop, save :meth:`wake`."""

    def __init__(self, changes: Changes, pause: float = 0.5) -> None:
        """``pause``: seconds between two looks at the store, however fast findings come."""
        self._changes = changes
        self._pause = pause
        self._viewers: set[asyncio.Queue[Update | None]] = set()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.dropped = 0

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
            await self._changed.wait()
            self._changed.clear()
            if self._viewers:  # nothing is rendered for nobody; whoever comes asks the store first
                update = await self._changes(change)
                if update.events:
                    change = update.change
                    self._hand_out(update)
            await asyncio.sleep(self._pause)

    def close(self) -> None:
        """End every stream, and any that is asked for later."""
        self._closed = True
        for viewer in list(self._viewers):
            self._drop(viewer)

    async def stream(self, after: int) -> AsyncIterator[str]:
        """The events of one viewer who has seen everything up to ``after``."""
        queue: asyncio.Queue[Update | None] = asyncio.Queue(WAITING)
        if self._closed:
            return
        self._viewers.add(queue)  # before the look at the store, so that nothing falls between the two
        try:
            yield f"retry: {RETRY_MS}\n\n"
            missed = await self._changes(after)
            if missed.events:
                yield "".join(text for _, text in missed.events)
                after = missed.change
            while True:
                try:
                    update = await asyncio.wait_for(queue.get(), KEEP_ALIVE)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if update is None:
                    return
                if update.change > after:
                    yield update.after(after)
                    after = update.change
        finally:
            self._viewers.discard(queue)

    def _hand_out(self, update: Update) -> None:
        for viewer in list(self._viewers):
            try:
                viewer.put_nowait(update)
            except asyncio.QueueFull:
                self.dropped += 1
                self._drop(viewer)

    def _drop(self, viewer: asyncio.Queue[Update | None]) -> None:
        self._viewers.discard(viewer)
        while not viewer.empty():
            viewer.get_nowait()
        viewer.put_nowait(None)


class Hubs:
    """A hub for each language, woken and ended together."""

    def __init__(self, changes: Mapping[str, Changes], pause: float = 0.5) -> None:
        """``changes``: by language. Needs a running event loop."""
        self._hubs = {language: Hub(one, pause) for language, one in changes.items()}

    @property
    def viewers(self) -> int:
        """How many are watching, whatever their language."""
        return sum(hub.viewers for hub in self._hubs.values())

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

    def stream(self, language: str, after: int) -> AsyncIterator[str]:
        """The events of one viewer who has seen everything up to ``after``."""
        return self._hubs[language].stream(after)
