"""Whether a system that was just updated works: its daemon is ready, it has measured the line, the broker knows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from probe.agent.control import StatusRequest, ask
from probe.model.errors import CannotMeasure

LIMIT = 600.0
"""Seconds that a system on trial is given."""


def lacking(status: dict[str, Any]) -> list[str]:
    """What is missing in the daemon's own account (``colibri status``) for it to be healthy; empty: nothing.

    A probe without a broker or without targets is healthy without them: an update must not undo itself for that.
    """
    missing = []
    if status["stalled"]:
        missing.append(f"stuck: {', '.join(status['stalled'])}")
    if status["feed"]["host"] and not status["feed"]["connected"]:
        missing.append(f"the broker is not reached ({status['feed']['trouble'] or 'not yet'})")
    measured = sum(n for verdict, n in status["counts"].items() if verdict != "failed")
    if status["planned"] and not measured:
        missing.append("nothing was measured yet")
    return missing


async def ask_daemon(socket: str) -> dict[str, Any]:
    """The daemon's account of itself. Raises OSError where it does not answer."""
    async for answer in ask(socket, StatusRequest()):
        return answer
    raise ConnectionError("the daemon gave no answer")


async def wait_until_healthy(
    account: Callable[[], Awaitable[dict[str, Any]]],
    say: Callable[[str], None],
    limit: float = LIMIT,
    pause: float = 3.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return once nothing is lacking. ``limit``, ``pause``: seconds. Raises CannotMeasure when the time is over."""
    end, said = clock() + limit, ""
    while True:
        try:
            missing = lacking(await account())
        except OSError as error:
            missing = [f"the daemon does not answer ({error.strerror or error})"]
        if not missing:
            return
        if (now := "; ".join(missing)) != said:
            say(said := now)
        if clock() >= end:
            raise CannotMeasure(f"not healthy after {limit:.0f} s: {said}", "the other system starts")
        await asyncio.sleep(pause)


def limit_of(command_line: str) -> float:
    """Seconds from the kernel's command line (``colibri.trial=150``), for a test; else :data:`LIMIT`."""
    for word in command_line.split():
        name, _, value = word.partition("=")
        if name == "colibri.trial" and value.isdigit():
            return float(value)
    return LIMIT
