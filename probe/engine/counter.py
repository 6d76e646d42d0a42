"""The day's count of bytes, in a small file that all processes share which measure on this device."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Annotated

import msgspec

COUNT = "sent.json"
"""Its name in the probe's state_dir."""
_MOST = 200  # bytes of the file that are looked at


class _Kept(msgspec.Struct):
    day: str
    octets: Annotated[int, msgspec.Meta(ge=0)]


class DayCount:
    """``load`` and ``save`` for :class:`probe.engine.budget.Budget`.

    What can't be read counts as nothing sent. Where the file can't be written (another user's folder, or none yet),
    nothing is kept, without a word: the count then lasts as long as the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = ("", 0)

    def load(self) -> tuple[str, int]:
        """The UTC day and the bytes that were sent on it."""
        with contextlib.suppress(OSError):
            self._known = _parse(self._path.read_bytes()[:_MOST])
        return self._known

    def save(self, day: str, octets: int) -> int:
        """Bytes sent so far on a UTC day, by this process and by what it was told of others; no day: nothing was.

        Returns what all have sent.
        """
        if not day:
            return octets
        known_day, known = self._known
        more = octets - known if day == known_day else octets
        total = octets
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                kept_day, kept = _parse(file.read(_MOST))
                total = max(0, more + (kept if kept_day == day else 0))
                if kept_day <= day and (more or kept_day != day):  # never over a day that others have begun
                    file.seek(0)
                    file.truncate()
                    file.write(msgspec.json.encode(_Kept(day, total)))
                    _belongs_to_the_folder(file.fileno(), self._path.parent)
        self._known = day, total
        return total


def _belongs_to_the_folder(descriptor: int, folder: Path) -> None:
    """A run as root must not leave a file behind that the daemon can't write."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _parse(data: bytes) -> tuple[str, int]:
    try:
        kept = msgspec.json.decode(data, type=_Kept)
    except msgspec.DecodeError:
        return "", 0
    return kept.day, kept.octets
