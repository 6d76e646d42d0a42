"""Heartbeats that wait for the line: in memory, and after an hour on the card, in a file that is only appended to.

A cut line delivers late, and that is when a heartbeat matters. One that is delivered within the hour never touches the
card; during a cut one append an hour does (about 4 KiB), so a power cut costs an hour of them at the most.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from probe.agent.files import write_whole
from probe.agent.findings import instant
from probe.engine.clock import synchronised as kernel_says
from probe.model.heartbeat import Heartbeat

log = logging.getLogger(__name__)

MOST = 2016
"""Most that wait, a week of them. Then every other one of the older half goes: a long cut is told more coarsely."""
CARD_AFTER = 3600.0
"""Seconds after which what still waits is written down."""
FRESH = 480.0
"""Seconds in which a collector believes the date of an unsynchronised clock (it allows for ten minutes)."""


class _Kept(msgspec.Struct):
    """``made``: monotonic time of its making; None if it comes from the card."""

    heartbeat: Heartbeat
    made: float | None
    saved: bool


class Waiting:
    """The bounded place. Not for use from several threads. ``sign`` is called when one is first sent.

    A file that can't be read is begun anew, with a word in the log; a card that can't be written costs what a restart
    would, and nothing else.
    """

    def __init__(
        self,
        path: Path,
        sign: Callable[[Heartbeat], Heartbeat],
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        synchronised: Callable[[], bool] = kernel_says,
    ) -> None:
        self._path, self._sign = path, sign
        self._wall, self._clock, self._synchronised = wall, clock, synchronised
        self._waiting: dict[str, _Kept] = {one.id: _Kept(one, None, True) for one in _read(path)}
        self._thin()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, heartbeat: Heartbeat, made: float) -> None:
        """Take one that was made at a monotonic time, and write down those that have waited for long."""
        self._waiting[heartbeat.id] = _Kept(heartbeat, made, saved=False)
        self._thin()
        late = made - CARD_AFTER
        if any(kept.made is not None and kept.made <= late and not kept.saved for kept in self._waiting.values()):
            self.save()

    def next(self, limit: int, under_way: Iterable[str]) -> list[tuple[str, bytes]]:
        """At most ``limit`` to send now, the oldest first: (id, signed JSON). Those in ``under_way`` are left out.

        What an unsynchronised clock dated waits until the clock is right, and is then dated by it; only what has just
        been made goes out at once.
        """
        if limit <= 0 or not self._waiting:
            return []
        right, now = self._synchronised(), self._clock()
        skip, found = frozenset(under_way), list[tuple[str, bytes]]()
        for name, kept in self._waiting.items():
            if len(found) >= limit:
                break
            if name in skip:
                continue
            one = kept.heartbeat
            if one.clock == "unsynchronised" and kept.made is not None:
                if right:
                    kept.heartbeat = one = msgspec.structs.replace(
                        one, at=instant(self._wall() - (now - kept.made)), clock="synchronised", signature=None
                    )
                elif now - kept.made > FRESH:
                    continue
            if one.signature is None:
                kept.heartbeat = one = self._sign(one)
            found.append((name, msgspec.json.encode(one)))
        return found

    def remove(self, ids: Iterable[str]) -> int:
        """Let some go, because they are safe elsewhere; returns how many of them were here."""
        gone = [self._waiting.pop(name) for name in ids if name in self._waiting]
        if gone and not self._waiting:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("heartbeats that were delivered will be sent again after a restart: %s", error)
        return len(gone)

    def save(self) -> None:
        """Write down what is not yet on the card and has a date that outlives a restart."""
        fresh = [k for k in self._waiting.values() if not k.saved and k.heartbeat.clock == "synchronised"]
        if not fresh:
            return
        try:
            with self._path.open("ab") as file:
                # What a power cut left half written ends where the next begins.
                file.write(b"".join(b"\n" + msgspec.json.encode(kept.heartbeat) for kept in fresh))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("heartbeats that wait can't be written down: %s", error)
            return
        for kept in fresh:
            kept.saved = True

    def _thin(self) -> None:
        if len(self._waiting) <= MOST:
            return
        for name in list(self._waiting)[: len(self._waiting) // 2 : 2]:
            del self._waiting[name]
        saved = [kept.heartbeat for kept in self._waiting.values() if kept.saved]
        if saved:
            try:
                write_whole(self._path, b"\n".join(msgspec.json.encode(one) for one in saved))
            except OSError as error:
                log.warning("heartbeats that wait can't be written down: %s", error)


def _read(path: Path) -> list[Heartbeat]:
    try:
        lines = [line for line in path.read_bytes().split(b"\n") if line]
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("%s can't be read: %s", path, error)
        return []
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Heartbeat))
        except msgspec.DecodeError:  # a power cut in the midst of it
            log.warning("%s: a heartbeat in it can't be read", path)
    return found
