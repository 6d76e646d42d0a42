"""Enrolment as the daemon does it: by itself, until it is done, and again whenever it is time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from probe.agent.backoff import Backoff
from probe.agent.enrol import Enrolment, RefusedError
from probe.agent.threads import in_thread
from probe.model.errors import ColibriError

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK = 3600.0
"""Seconds between two looks at whether it is time to renew."""
TICK = 40.0
"""Seconds between two signs of life for the watchdog: each wakes the board up."""
_BLIND = 24  # looks between two questions to the server while the clock can't be trusted
_FINAL = 3600.0  # seconds after which a plain no is asked about again
_LAST = frozenset({"unknown", "revoked", "superseded", "too_late"})


async def enrol(
    enrolment: Enrolment, backoff: Backoff, beat: Callable[[], None], say: Callable[[str], None], tick: float = TICK
) -> None:
    """Try until it is enrolled. ``say`` is told what it waits for; ``beat`` is called every ``tick`` seconds."""
    while True:
        try:
            answer = await _beside(enrolment.first, beat, tick)
        except RefusedError as refused:
            trouble, delay = str(refused), refused.after or _FINAL
        except (ColibriError, OSError) as error:
            trouble, delay = str(error) or type(error).__name__, backoff.next()
        else:
            log.info("enrolled as %s", answer.name)
            return
        log.warning("not enrolled: %s; next attempt in %.0f s", trouble, delay)
        say(f"not enrolled: {trouble}")
        await _pause(delay, beat, tick)


async def keep(
    enrolment: Enrolment, has_code: bool, renamed: Callable[[], None], beat: Callable[[], None], *,
    look: float = LOOK, tick: float = TICK,
) -> None:  # fmt: skip
    """Renew whenever it is time, for as long as the session lasts.

    A probe that can't renew any more (revoked, or away for too long) tries the configured code, if there is one: its
    owner may have been given a new one. ``renamed`` is called when that has made another probe of it.
    """
    looks = 0
    while True:
        await _pause(look, beat, tick)
        looks += 1
        try:
            if not enrolment.due() or (enrolment.blind and looks % _BLIND != 1):
                continue
            answer = await _beside(enrolment.renew, beat, tick)
            log.info("the certificate of %s is renewed, until %s", answer.name, answer.expires)
        except RefusedError as refused:
            if refused.reason == "too_early":
                continue
            log.error("the certificate can't be renewed: %s", refused)
            if refused.reason in _LAST and has_code and await _anew(enrolment, beat, tick):
                renamed()
        except (ColibriError, OSError) as error:
            log.warning("the certificate could not be renewed yet: %s", error)


async def _anew(enrolment: Enrolment, beat: Callable[[], None], tick: float) -> bool:
    try:
        answer = await _beside(enrolment.first, beat, tick)
    except (ColibriError, OSError) as error:
        log.warning("not enrolled anew: %s", error)
        return False
    log.warning("enrolled anew, as %s", answer.name)
    return True


async def _pause(seconds: float, beat: Callable[[], None], tick: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        beat()
        await asyncio.sleep(min(left, tick))


async def _beside(work: Callable[[], T], beat: Callable[[], None], tick: float) -> T:
    future = in_thread(work, "enrol")
    try:
        while not future.done():
            beat()
            await asyncio.wait((future,), timeout=tick)
    finally:
        if not future.cancel() and not future.cancelled():
            future.exception()  # who was cancelled just then does not ask for it
    return future.result()
