"""The log of all that was asked of this probe and all that it did: ``asked.jsonl`` in the state folder.

It stays on the device, for whoever lives with it: one JSON object a line, the last two megabytes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from probe.agent.findings import instant

log = logging.getLogger(__name__)

FILE = "asked.jsonl"
MOST = 1 << 20
"""Bytes after which the file becomes ``asked.jsonl.1``, and the one before it goes."""
_TEXT = 500

What = Literal["list", "request", "measurement"]
Outcome = Literal["accepted", "refused", "done", "failed"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. ``by``: the key that signed, ``schedule`` or ``socket``; empty: nobody knows."""

    at: str
    what: What
    outcome: Outcome
    subject: str = ""
    reason: str = ""
    by: str = ""
    size: int = 0


class Asked:
    """Writes the log. A disk that fails is told in the journal: it must not keep a stop from being obeyed."""

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        self._path, self._wall = folder / FILE, wall

    def note(
        self, what: What, outcome: Outcome, subject: str = "", reason: str = "", by: str = "", size: int = 0
    ) -> None:
        """Add a line; texts are cut where they are long."""
        entry = Entry(instant(self._wall()), what, outcome, subject[:_TEXT], reason[:_TEXT], by[:_TEXT], size)
        try:
            if self._path.exists() and self._path.stat().st_size > MOST:
                self._path.replace(self._path.with_name(f"{FILE}.1"))
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")
        except OSError as error:
            log.warning("%s can't be written: %s", self._path, error)


def read(folder: Path) -> list[Entry]:
    """All entries, the oldest first; a line that a power cut has broken is left out. Raises OSError."""
    found: list[Entry] = []
    for name in (f"{FILE}.1", FILE):
        try:
            lines = (folder / name).read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Entry))
            except msgspec.DecodeError:
                continue
    return found
