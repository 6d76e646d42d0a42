"""Whether the system clock is kept right: a Pi has no clock of its own while the power is off."""

from __future__ import annotations

import ctypes
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit systems; all zero asks without setting anything
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")


def synchronised() -> bool:
    """True if the kernel's clock is disciplined, or systemd-timesyncd has set it since boot."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(libc.adjtimex(buffer))
    return (state >= 0 and state != _TIME_ERROR) or _TIMESYNCD.exists()
