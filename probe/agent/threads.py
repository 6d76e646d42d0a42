"""Blocking work beside the event loop, in a thread that can't hold up the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run ``work`` in a thread of that name; the future gets what it returns or the Exception that it raises.

    An executor would wait for its threads when the process ends: a resolver or a server that never answers would hold
    up the daemon's stop. Cancelling the future stops nothing: what the thread brings then is thrown away.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not future.done():
            give()

    def run() -> None:
        give: Callable[[], None]
        try:
            result = work()
        except Exception as caught:  # noqa: BLE001 - handed to the one who waits, whatever it is
            give = partial(future.set_exception, caught)
        else:
            give = partial(future.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, give)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
