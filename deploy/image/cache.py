"""A card with a cache of its own that forgets: what was written since the last flush may be there, in part, or not.

qemu keeps a log of all that a device writes (its block driver ``blklogwrites``, the format of Linux's dm-log-writes,
``drivers/md/dm-log-writes.c``): sectors of 512 bytes; the first is a header, then for each write one that says where it
goes and what it is, followed by the data. From the log and the card as it was before, the card is made again as a real
one may be found after a cut: all up to the last flush, which the device was told is safe, and of the writes after it
some, some in part (to a sector's end), some not at all.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, DISCARD = 1, 4


class Write(msgspec.Struct, frozen=True):
    """One entry of the log. ``offset``: bytes on the card; ``at``, ``length``: where its data lie in the log, bytes
    (``length`` 0: none, as of a flush or a discard); ``flush``: it and all entries before it are safe."""

    offset: int
    at: int
    length: int
    flush: bool


class Writes:
    """What is in a log, in order; what was being noted when the emulator was killed is left out.

    Raises ValueError for a file that is no such log. A log that was never begun holds nothing.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self.entries = list(self._read())

    def _read(self) -> Iterator[Write]:
        size = self._log.stat().st_size
        with self._log.open("rb") as file:
            head = file.read(SECTOR)
            if not head.strip(b"\0"):
                return
            magic, version, _, sector = struct.unpack_from("<QQQI", head)
            if (magic, version, sector) != (MAGIC, 1, SECTOR):
                raise ValueError(f"{self._log}: no log of writes in sectors of {SECTOR} bytes")
            at = SECTOR
            while at + SECTOR <= size:
                file.seek(at)
                where, count, flags, _ = struct.unpack("<QQQQ", file.read(32))
                if not (where or count or flags):
                    return
                at += SECTOR
                length = 0 if flags & DISCARD else count * SECTOR
                if at + length > size:
                    return
                yield Write(where * SECTOR, at, length, bool(flags & FLUSH))
                at += length

    def replay(self, card: Path, until: int, chance: random.Random) -> tuple[int, int]:
        """Make of ``card``, as it was when the log began, a card that was cut after ``until`` entries. Returns how many
        writes came after the last flush, and how many of these are lost, in whole or in part."""
        written = self.entries[:until]
        safe = max((i for i, one in enumerate(written) if one.flush), default=-1)
        unsafe, lost = 0, 0
        with self._log.open("rb") as file, card.open("r+b") as out:
            for i, one in enumerate(written):
                length = one.length
                if i > safe and length:
                    unsafe += 1
                    fate = chance.random()
                    if fate < 0.5:
                        length = 0 if fate < 0.3 else chance.randrange(0, length, SECTOR)
                        lost += 1
                if length:
                    file.seek(one.at)
                    out.seek(one.offset)
                    out.write(file.read(length))
        return unsafe, lost
