"""What the daemon remembers over a restart besides the spool: when each job last ran.

Saved at most once a minute, for the card's sake: a power cut costs a minute of it, which does no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from probe.agent.files import write_whole

log = logging.getLogger(__name__)

SAVE_EVERY = 60.0
_MOST_RUNS = 10_000


class _Kept(msgspec.Struct):
    runs: dict[str, float] = {}


class Memory:
    """The file ``memory.json``. ``wall``: seconds since the epoch; ``clock``: seconds, monotonic.

    A damaged file is forgotten, with a word in the log.
    """

    def __init__(
        self, path: Path, wall: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._wall, self._clock = path, wall, clock
        self._kept = _Kept()
        self._saved_at = clock()
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            pass
        except msgspec.DecodeError as error:
            log.warning("%s can't be read and is begun anew: %s", path, error)

    def ran(self, key: str) -> None:
        """A job has run, now. Raises OSError when the disk fails."""
        self._kept.runs.pop(key, None)
        self._kept.runs[key] = self._wall()
        while len(self._kept.runs) > _MOST_RUNS:
            del self._kept.runs[next(iter(self._kept.runs))]
        self._save_in_time()

    def ages(self) -> dict[str, float]:
        """Seconds since each job ran; below zero where the clock has been set back since."""
        now = self._wall()
        return {key: now - at for key, at in self._kept.runs.items()}

    def _save_in_time(self) -> None:
        if self._clock() - self._saved_at >= SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write it down. Raises OSError when the disk fails."""
        self._saved_at = self._clock()
        write_whole(self._path, msgspec.json.encode(self._kept))
