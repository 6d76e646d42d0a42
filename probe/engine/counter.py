"""The day's count of bytes sent by runs at the keyboard, which last no longer than a run, in a small file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Annotated

import msgspec

_MOST = 200  # bytes of the file that are looked at


class _Kept(msgspec.Struct):
    day: str
    octets: Annotated[int, msgspec.Meta(ge=0)]


class DayCount:
    """``load`` and ``save`` for :class:`probe.engine.run.EngineRunner`, on a file that several processes may share.

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

    def save(self, day: str, octets: int) -> None:
        """Bytes sent so far on a UTC day, by this process and by what :meth:`load` told it of; no day: nothing was."""
        if not day:
            return
        known_day, known = self._known
        more = octets - known if day == known_day else octets
        self._known = day, octets
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # another run may have counted since
                kept_day, kept = _parse(file.read(_MOST))
                data = msgspec.json.encode(_Kept(day, more + (kept if kept_day == day else 0)))
                file.seek(0)
                file.truncate()
                file.write(data)


def _parse(data: bytes) -> tuple[str, int]:
    try:
        kept = msgspec.json.decode(data, type=_Kept)
    except msgspec.DecodeError:
        return "", 0
    return kept.day, kept.octets
