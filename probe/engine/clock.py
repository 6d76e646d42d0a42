"""Clocks: whether the system's is kept right, and a time line of a run that a correction of it does not break."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit systems; all zero asks without setting anything
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_STEPPED = 5_000_000  # nanoseconds: a kernel slews what is less, and slews both clocks alike
_TRIES = 3


def synchronised() -> bool:
    """True if the kernel's clock is disciplined, or systemd-timesyncd has set it since boot."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(libc.adjtimex(buffer))
    return (state >= 0 and state != _TIME_ERROR) or _TIMESYNCD.exists()


class Timeline:
    """Nanoseconds since the epoch as of the start of a run, and steady from there.

    A Pi has no clock while the power is off: the time service may set it in the midst of a run, by years. The kernel
    stamps packets with that clock; :meth:`place` puts them where they belong, so that no answer seems to be missing.
    """

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall, self._steady = wall, steady
        self._start = self._offset = self._before = self._read()[0]
        self.stepped = False

    def now(self) -> int:
        """Nanoseconds on the time line."""
        return self._steady() + self._start

    def refresh(self) -> None:
        """Notice a step of the clock. To be called before packets are placed."""
        offset, blur = self._read()
        if abs(offset - self._offset) > _STEPPED + blur:
            self._before, self._offset = self._offset, offset
            self.stepped = True

    def place(self, stamp: int) -> int:
        """The place of a kernel time stamp (nanoseconds since the epoch, taken a moment ago)."""
        at = stamp - self._offset + self._start
        if not self.stepped:
            return at
        # Stamped before the step or after it? A packet is never handed on long after its time.
        old, now = stamp - self._before + self._start, self.now()
        return min(at, old, key=lambda place: abs(now - place))

    def _read(self) -> tuple[int, int]:
        """(wall minus steady, how far that may be wrong), the best of a few: the scheduler may come in between."""
        found = []
        for _ in range(_TRIES):
            first = self._steady()
            wall = self._wall()
            last = self._steady()
            found.append((last - first, wall - last))
        blur, offset = min(found)
        return offset, blur
