"""Work by the thousand for who is at the keyboard: by the daemon's engine, with its budget and its guard; not while the
probe is paused, and never without a line in the local log."""

from __future__ import annotations

import asyncio
import ctypes
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from probe.agent.asked import Asked, Outcome
from probe.agent.pause import Pause, PausedError
from probe.agent.runner import Runner
from probe.engine.bulk.wanted import Wanted
from probe.model.errors import CannotMeasure, ColibriError, UsageError

if TYPE_CHECKING:
    from probe.engine.bulk.rows import Told

MOST = 60_000
"""Targets of one job, at most."""
_MOST_ENDS = {"sweep": 10_000, "ports": MOST, "dns": MOST}  # far ends: what they cost must fit in the daemon's memory
_NAMED = 3


@runtime_checkable
class Engine(Protocol):
    """A runner that does work by the thousand, too; :class:`probe.engine.run.EngineRunner` does."""

    async def by_the_thousand(self, wanted: Wanted) -> Told:
        """Do a job. Raises UsageError and CannotMeasure."""


class Thousands:
    """The desk for such jobs."""

    def __init__(self, runner: Runner, pause: Pause, asked: Asked) -> None:
        self._runner, self._pause, self._asked = runner, pause, asked

    async def perform(self, wanted: Wanted) -> Told:
        """Do a job, as long as the probe is not paused. Raises PausedError, UsageError, CannotMeasure."""
        subject = _subject(wanted)
        try:
            _fits(wanted)
            if self._pause.on:
                raise PausedError
            if not isinstance(self._runner, Engine):
                raise CannotMeasure("this daemon's engine does no work by the thousand")
        except ColibriError as error:
            self._note("refused", subject, str(error))
            raise
        self._note("accepted", subject)
        try:
            told = await self._pause.guard(self._runner.by_the_thousand(wanted))
        except ColibriError as error:
            self._note("failed", subject, str(error))
            raise
        except asyncio.CancelledError:
            self._note("failed", subject, "broken off: nobody waits for it any more")
            raise
        self._note("done", subject, f"{told.packets} packets")
        return told

    def _note(self, outcome: Outcome, subject: str, reason: str = "") -> None:
        self._asked.note("measurement", outcome, subject, reason, "socket")


def _fits(wanted: Wanted) -> None:
    ends = len(wanted.targets) * (len(wanted.ports) if wanted.kind == "ports" else 1)
    most = _MOST_ENDS[wanted.kind]
    if ends > most:
        raise UsageError(f"{ends:,} are more than the {most:,} that the daemon does at once: ask in parts, or --direct")


def _subject(wanted: Wanted) -> str:
    """A line of the log: what, how many, and the first of them."""
    named = ", ".join(wanted.targets[:_NAMED])
    more = ", …" if len(wanted.targets) > _NAMED else ""
    return f"{wanted.kind} of {len(wanted.targets)} targets: {named}{more}"


def give_back() -> None:
    """Memory that is not used any more goes back to the system (malloc_trim(3), where the C library has it)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
