"""The hub: nothing missed, nothing twice, slow viewers dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

import pytest

from probe.collector import events
from probe.collector.events import EventStream, Hub, Update, encode


class Log:
    """A store of numbered changes."""

    def __init__(self) -> None:
        self.newest = 0
        self.asked = 0

    async def since(self, after: int) -> Update:
        self.asked += 1
        numbers = range(after + 1, self.newest + 1)
        return Update([(n, encode("cell", {"n": n}, n)) for n in numbers], self.newest)


def ids(text: bytes) -> list[int]:
    return [int(line[4:]) for line in text.decode().splitlines() if line.startswith("id: ")]


def in_loop(test: Callable[[Log, Hub], Awaitable[None]]) -> Log:
    log = Log()

    async def main() -> None:
        hub = Hub({"en": log.since}, pause=0)
        running = asyncio.create_task(hub.run(log.newest))
        try:
            await asyncio.wait_for(test(log, hub), 20)
        finally:
            running.cancel()

    asyncio.run(main())
    return log


async def take(stream: AsyncIterator[bytes], count: int) -> list[int]:
    seen: list[int] = []
    while len(seen) < count:
        seen += ids(await anext(stream))
    return seen


def test_the_framing_survives_any_text() -> None:
    text = encode("cell", {"html": "one\ntwo\r\n\ndata: forged\u2028"}, 7)
    lines = text.split("\n")
    assert lines[:2] == ["id: 7", "event: cell"]
    assert lines[3:] == ["", ""]
    assert json.loads(lines[2].removeprefix("data: ")) == {"html": "one\ntwo\r\n\ndata: forged\u2028"}


def test_a_viewer_gets_what_it_missed_and_then_everything_new_once() -> None:
    async def scenario(log: Log, hub: Hub) -> None:
        log.newest = 3
        stream = hub.stream("en", after=1)
        assert (await anext(stream)).startswith(b"retry: ")
        assert await take(stream, 2) == [2, 3]
        for new in ([4], [5, 6], [7]):
            log.newest = new[-1]
            hub.wake()
            assert await take(stream, 1) == new
        await stream.aclose()  # type: ignore[attr-defined]
        assert hub.viewers == 0

    in_loop(scenario)


def test_a_change_between_joining_and_catching_up_comes_once() -> None:
    async def scenario(log: Log, hub: Hub) -> None:
        stream = hub.stream("en", after=0)
        await anext(stream)  # joined; the look at the store comes with the next step
        log.newest = 2
        hub.wake()
        await asyncio.sleep(0.05)  # the hub hands out 1 and 2 meanwhile
        assert await take(stream, 2) == [1, 2]
        log.newest = 3
        hub.wake()
        assert await take(stream, 1) == [3]

    in_loop(scenario)


def test_a_slow_viewer_is_dropped_and_the_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WAITING", 3)

    async def scenario(log: Log, hub: Hub) -> None:
        slow, quick = hub.stream("en", 0), hub.stream("en", 0)
        await anext(slow)
        await anext(quick)
        log.newest = 1
        first = [await take(stream, 1) for stream in (slow, quick)]
        assert first == [[1], [1]]
        for newest in range(2, 8):
            log.newest = newest
            hub.wake()
            assert await take(quick, 1) == [newest]
        assert hub.dropped == 1
        assert (hub.viewers, hub.streams) == (1, 2), "its connection is still held"
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        assert (hub.viewers, hub.streams) == (1, 1)

    in_loop(scenario)


def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.01)

    async def scenario(log: Log, hub: Hub) -> None:
        stream = hub.stream("en", 0)
        await anext(stream)
        assert (await anext(stream)).startswith(b":")
        assert (await anext(stream)).startswith(b":")

    in_loop(scenario)


def test_changes_that_are_not_for_the_viewers_do_not_keep_the_signs_of_life_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.05)

    async def scenario(log: Log, hub: Hub) -> None:
        async def hurry() -> None:
            while True:
                hub.wake()  # of an operator that is not shown, say
                await asyncio.sleep(0)

        stream = hub.stream("en", 0)
        await anext(stream)
        hurrying = asyncio.create_task(hurry())
        assert (await asyncio.wait_for(anext(stream), 10)).startswith(b":")
        hurrying.cancel()

    in_loop(scenario)


def test_who_was_told_something_needs_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE", 60)

    async def scenario(log: Log, hub: Hub) -> None:
        stream = hub.stream("en", 0)
        await anext(stream)
        for newest in (1, 2, 3):
            log.newest = newest
            hub.wake()
            assert await take(stream, 1) == [newest]

    in_loop(scenario)


def test_a_crowd_is_told_in_the_same_bytes_and_left_alone_for_longer_the_longer_it_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        await real(0)

    async def scenario(log: Log, hub: Hub) -> None:
        crowd = [hub.stream("en", 0) for _ in range(50)]
        for stream in crowd:
            await anext(stream)
        waiting = [asyncio.ensure_future(anext(stream)) for stream in crowd]
        await real(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            log.newest = 2
            hub.wake()
            told = await asyncio.gather(*waiting)
            await real(0.01)
        assert len({id(text) for text in told}) == 1
        assert ids(told[0]) == [1, 2]
        assert paused[0] == 0, "until all have had their turn"
        assert paused[1] > 0, "then a pause, by the time it took"
        for stream in crowd:
            await stream.aclose()  # type: ignore[attr-defined]

    in_loop(scenario)


def test_closing_ends_every_stream_and_refuses_new_ones() -> None:
    async def scenario(log: Log, hub: Hub) -> None:
        stream = hub.stream("en", 0)
        await anext(stream)
        hub.close()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(hub.stream("en", 0))

    in_loop(scenario)


def test_waking_from_a_thread_and_after_the_loop_is_gone() -> None:
    kept: list[Hub] = []

    async def scenario(log: Log, hub: Hub) -> None:
        kept.append(hub)
        stream = hub.stream("en", 0)
        await anext(stream)
        log.newest = 1
        await asyncio.to_thread(hub.wake)
        assert await take(stream, 1) == [1]

    in_loop(scenario)
    kept[0].wake()  # the subscriber may commit once more while the process ends


def test_a_viewer_follows_its_own_language() -> None:
    logs = {"fr": Log(), "ar": Log()}

    async def main() -> None:
        hub = Hub({language: log.since for language, log in logs.items()}, pause=0)
        running = asyncio.create_task(hub.run(0))
        french = hub.stream("fr", 0)
        assert await anext(french) == b"retry: 3000\n\n"
        waiting = asyncio.ensure_future(take(french, 2))
        await asyncio.sleep(0)
        assert (hub.viewers, hub.dropped) == (1, 0)
        logs["fr"].newest = logs["ar"].newest = 2
        hub.wake()
        assert await asyncio.wait_for(waiting, 20) == [1, 2]
        assert logs["ar"].asked == 0, "nothing is rendered for nobody"
        hub.close()
        assert [text async for text in french] == []
        assert hub.viewers == 0
        running.cancel()

    asyncio.run(main())


def test_what_happened_while_nobody_watched_is_not_lost() -> None:
    async def test(log: Log, hub: Hub) -> None:
        log.newest = 3
        hub.wake()
        await asyncio.sleep(0.01)
        stream = hub.stream("en", 1)
        assert await take(stream, 2) == [2, 3]
        log.newest = 4
        hub.wake()
        assert await take(stream, 1) == [4]

    in_loop(test)


@pytest.mark.parametrize("steps", range(5))
def test_who_is_told_to_end_while_it_is_woken_ends(steps: int) -> None:
    """A cancellation that comes in the same step as a change (asyncio.wait_for of Python 3.11 swallows it)."""

    async def main() -> None:
        hub = Hub({"en": Log().since}, pause=0)
        running = asyncio.create_task(hub.run(0))
        await asyncio.sleep(0.01)  # until it waits
        hub._changed.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=5)
        running.cancel()
        assert done == {running}
        assert running.cancelled()

    asyncio.run(main())


class Server:
    """An ASGI server's side of one stream: what was sent, and whether it takes more."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.writable = asyncio.Event()
        self.writable.set()
        self.broken = False

    @property
    def ids(self) -> list[int]:
        return ids(b"".join(self.sent))

    async def until(self, there: Callable[[], bool]) -> None:
        for _ in range(2000):
            if there():
                return
            await asyncio.sleep(0.001)
        raise AssertionError(self.sent)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self.broken:
            raise OSError("no more")
        await self.writable.wait()
        self.sent.append(message.get("body", b""))

    async def receive(self) -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def watch(self, hub: Hub) -> asyncio.Task[None]:
        """Returns when the stream waits for news."""
        answer = EventStream(partial(hub.stream, "en", 0), {})
        task = asyncio.create_task(answer({"type": "http", "asgi": {}}, self.receive, self.send))
        await self.until(lambda: any(piece.startswith(b"retry") for piece in self.sent))
        await asyncio.sleep(0.01)
        return task


async def told(server: Server, log: Log, hub: Hub) -> None:
    log.newest += 1
    hub.wake()
    await server.until(lambda: server.ids[-1:] == [log.newest])


def test_what_the_server_takes_at_once_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(log: Log, hub: Hub) -> None:
        server = Server()
        task = await server.watch(hub)
        with monkeypatch.context() as patch:
            patch.delattr(events._Viewer, "wake")
            await told(server, log, hub)
            await told(server, log, hub)
        assert server.ids == [1, 2]
        task.cancel()

    in_loop(test)


def test_a_full_buffer_is_waited_for_by_its_viewer_alone_and_nothing_is_lost_or_doubled() -> None:
    async def test(log: Log, hub: Hub) -> None:
        slow, quick = Server(), Server()
        tasks = [await slow.watch(hub), await quick.watch(hub)]
        await told(quick, log, hub)
        slow.writable.clear()
        for _ in range(3):
            await told(quick, log, hub)
        assert slow.ids == [1]
        slow.writable.set()
        await told(slow, log, hub)
        await told(slow, log, hub)
        assert slow.ids == quick.ids == [1, 2, 3, 4, 5, 6]
        assert hub.dropped == 0
        for task in tasks:
            task.cancel()

    in_loop(test)


def test_a_stream_that_can_not_be_written_ends_alone() -> None:
    async def test(log: Log, hub: Hub) -> None:
        broken, other = Server(), Server()
        tasks = [await broken.watch(hub), await other.watch(hub)]
        broken.broken = True
        await told(other, log, hub)
        await asyncio.wait([tasks[0]])
        assert tasks[0].exception() is not None
        assert hub.streams == 1
        await told(other, log, hub)
        tasks[1].cancel()

    in_loop(test)
