"""A probe that is paused measures nothing, for whoever asked, until they say otherwise: a file remembers who did.

What goes on: the connection to the broker with its heartbeats and the word that the probe is paused, and the renewal of
its certificate. Findings made before wait.
"""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from probe.agent.files import write_whole
from probe.agent.findings import instant
from probe.agent.paths import PAUSED
from probe.agent.runner import Runner
from probe.model.errors import CannotMeasure
from probe.model.finding import Instant
from probe.model.home import Holder
from probe.model.outcome import Outcome

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at the file while something is measured."""

T = TypeVar("T")


class PausedError(CannotMeasure):
    """Nothing is measured, because the probe is paused."""

    def __init__(self, what: str = "the probe is paused") -> None:
        super().__init__(what, "colibri resume")


class Pause:
    """Who paused the probe, and since when. It is on while anybody holds it, over restarts and power cuts.

    ``wall``: seconds since the epoch. A file that can't be read counts as the household's pause: to send nothing is the
    safe mistake, and so an empty file, made by hand, is a stop as well. What a hand does to the file while we run is
    seen before anything is measured, and within a second where something is.
    """

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        self._path, self._wall = folder / PAUSED, wall
        self._watchers: list[Callable[[], None]] = []
        self._stopped = asyncio.Event()
        self._stands = self._state()
        self._take(self._read())

    @property
    def holders(self) -> Mapping[Holder, Instant]:
        """Who paused the probe, and since when."""
        stands = self._state()
        if stands != self._stands:
            self._stands = stands
            before, now = self._holders, self._read()
            if now.keys() != before.keys():
                log.warning("%s was changed by hand: %s", self._path, "paused" if now else "resumed")
                self._take(now)
                self._tell()
        return self._holders

    @property
    def on(self) -> bool:
        """Whether nothing may be measured."""
        return bool(self.holders)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call it after each change."""
        self._watchers.append(changed)

    def hold(self, by: Holder) -> None:
        """Pause: what is under way is broken off, and stays so until the same one resumes. Raises OSError.

        It is in force even where it can't be written down.
        """
        if by in self.holders:
            return
        log.warning("paused, by the %s", by)
        self._set({**self.holders, by: instant(self._wall())})

    def release(self, by: Holder) -> None:
        """Take back what :meth:`hold` did; another's pause stays. Raises OSError, and then the pause stays."""
        left = {holder: since for holder, since in self.holders.items() if holder != by}
        if left != self.holders:
            self._set(left)
            log.warning("resumed, by the %s%s", by, ", but still paused" if left else "")

    def _set(self, holders: Mapping[Holder, Instant]) -> None:
        if not holders:
            self._path.unlink(missing_ok=True)
        self._take(holders)
        try:
            if holders:
                write_whole(self._path, msgspec.json.encode(holders))
        finally:
            self._stands = self._state()
            self._tell()

    def _take(self, holders: Mapping[Holder, Instant]) -> None:
        self._holders = holders
        if holders:
            self._stopped.set()
        else:
            self._stopped.clear()

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()

    def _state(self) -> tuple[int, int, int] | None:
        """Another whenever the file is; None: there is no file, or it can't be seen."""
        try:
            now = self._path.stat()
        except OSError:
            return None
        return (now.st_ino, now.st_mtime_ns, now.st_size) if stat.S_ISREG(now.st_mode) else None

    def _read(self) -> Mapping[Holder, Instant]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[Holder, Instant])
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (msgspec.DecodeError, OSError) as error:
            log.warning("%s can't be read, so the probe is paused: %s", self._path, error)
            return {"home": instant(self._wall())}

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work`` for as long as the probe is not paused. Raises PausedError, and what ``work`` raises."""
        if self.on:
            work.close()
            raise PausedError
        running, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            while not self.holders and not running.done():
                await asyncio.wait((running, stopped), timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            raise PausedError("broken off: the probe was paused")
        finally:
            running.cancel()
            stopped.cancel()
            await asyncio.gather(running, stopped, return_exceptions=True)


class PausableRunner:
    """A runner that measures only while the probe is not paused."""

    def __init__(self, runner: Runner, pause: Pause) -> None:
        self._runner, self._pause = runner, pause

    async def run(
        self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None]
    ) -> Outcome:
        """Run one; besides what the other raises, PausedError."""
        return await self._pause.guard(self._runner.run(measurement, options, progress))
