"""Blocking work beside the loop: what it brings, what it raises, and that it holds nobody up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from probe.agent.threads import in_thread


def test_the_result_comes_from_a_thread_of_that_name() -> None:
    async def scene() -> str:
        return await in_thread(lambda: threading.current_thread().name, "beside")

    assert asyncio.run(scene()) == "beside"


def test_what_it_raises_is_raised_to_the_one_who_waits() -> None:
    async def scene() -> None:
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0, "beside")

    asyncio.run(scene())


@pytest.mark.parametrize("fails", [False, True])
def test_what_comes_after_a_cancellation_is_thrown_away(fails: bool) -> None:
    trouble: list[dict[str, object]] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
        go_on = threading.Event()
        future = in_thread(lambda: go_on.wait(20) and 1 // (not fails), "late")
        thread = next(one for one in threading.enumerate() if one.name == "late")
        future.cancel()
        go_on.set()
        thread.join(20)
        await asyncio.sleep(0)  # what the thread has asked the loop to do is done
        assert future.cancelled()

    asyncio.run(scene())
    assert trouble == []


def test_a_loop_that_has_ended_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    go_on = threading.Event()

    async def scene() -> threading.Thread:
        in_thread(lambda: go_on.wait(20), "late")
        return next(one for one in threading.enumerate() if one.name == "late")

    thread = asyncio.run(scene())
    go_on.set()
    thread.join(20)
    assert not thread.is_alive()
    assert died == []


def test_the_process_ends_while_it_still_works() -> None:
    script = (
        "import asyncio, time\nfrom probe.agent.threads import in_thread\n"
        "async def main(): in_thread(lambda: time.sleep(60), 'stuck')\nasyncio.run(main())"
    )
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    assert time.monotonic() - begun < 30
