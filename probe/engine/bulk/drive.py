"""Drives jobs: in a plain process, or beside the other work of an event loop."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from probe.engine.pace import Pace

T = TypeVar("T")


def alone(job: Generator[float, None, T]) -> T:
    """Do a job and nothing else. Raises what it raises."""
    try:
        while True:
            time.sleep(next(job))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        job.close()


async def beside(job: Generator[float, None, T], pace: Pace) -> T:
    """Do a job in the event loop. It waits its turn for the line's packets, as single ones do, so that it holds nobody
    up for longer than a row of packets takes. Raises what it raises."""
    import asyncio  # a command has no loop, and a Pi pays for each import

    turn, sleep = pace.turn, asyncio.sleep
    try:
        while True:
            async with turn:
                delay = next(job)
            await sleep(delay)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        job.close()
