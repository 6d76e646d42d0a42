"""Small updates: of a new bundle, only those pieces are fetched that the running system does not hold already.

A bundle holds the new root as it will lie in the slot; most of that is, byte for byte, in the slot that runs. Both are
cut behind every occurrence of two fixed bytes: in what is compressed they come by chance, every 64 KiB on average, and
where they come depends on the bytes around alone, so that what was inserted before a piece does not change it
(content-defined chunking, as of rsync and casync). The operator publishes the pieces' lengths and hashes beside the
bundle; the device cuts its own slot in the same way.

Nothing is trusted here that was not before: whole bundles are checked against The Update Framework's metadata after
they are put together, in whatever way.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from probe.appliance.download import fetch
from probe.model.errors import CannotMeasure

MARK = re.compile(b"\xa5\x5a")
LONGEST = 1 << 20
"""Bytes of a piece at most: what is all zeros has no marks."""
GAP, RUN = 1 << 15, 1 << 22
"""Bytes that are rather fetched than asked around; bytes of one request at most."""
_ENTRY = 4 + hashlib.sha256().digest_size
_MAGIC, _USED = b"hsqs", slice(40, 48)
"""Of a squashfs superblock (version 4): how it begins, and where its length stands (little endian)."""


class Piece(msgspec.Struct, frozen=True):
    """A piece of a bundle: ``length`` in bytes, SHA-256."""

    length: int
    sha256: bytes


def cut(data: bytes | mmap.mmap) -> Iterator[tuple[int, int]]:
    """Begin and end of each piece, in order, without gaps."""
    begin = 0
    for mark in MARK.finditer(data):
        yield from _parts(begin, mark.end())
        begin = mark.end()
    yield from _parts(begin, len(data))


def _parts(begin: int, end: int) -> Iterator[tuple[int, int]]:
    for start in range(begin, end, LONGEST):
        yield start, min(start + LONGEST, end)


def index(data: bytes | mmap.mmap) -> bytes:
    """What is published beside a bundle: for each piece 4 bytes length (big endian) and 32 bytes SHA-256."""
    pieces = (data[begin:end] for begin, end in cut(data))
    return b"".join(len(piece).to_bytes(4) + hashlib.sha256(piece).digest() for piece in pieces)


def read_index(published: bytes, length: int) -> list[Piece]:
    """The pieces of a bundle of ``length`` bytes. Raises CannotMeasure for an index that is not of such a one."""
    entries = [published[i : i + _ENTRY] for i in range(0, len(published), _ENTRY)]
    pieces = [Piece(int.from_bytes(entry[:4]), entry[4:]) for entry in entries]
    if len(published) % _ENTRY or sum(one.length for one in pieces) != length:
        raise CannotMeasure("the list of pieces is of another bundle")
    return pieces


class Slot:
    """The root that runs, read piece by piece from its device (or a file). Close it after use."""

    def __init__(self, device: Path) -> None:
        """Raises OSError where it can't be read, and ValueError where it is no squashfs."""
        with device.open("rb") as file:
            head = file.read(96)
            if head[:4] != _MAGIC:
                raise ValueError(f"{device} holds no squashfs")
            used = -(-int.from_bytes(head[_USED], "little") // 4096) * 4096
            self._data = mmap.mmap(file.fileno(), min(used, file.seek(0, 2)), access=mmap.ACCESS_READ)
        self._where = {hashlib.sha256(self._data[begin:end]).digest(): (begin, end) for begin, end in cut(self._data)}

    def get(self, sha256: bytes) -> bytes | None:
        """A piece, if it is there."""
        begin, end = self._where.get(sha256, (0, 0))
        return self._data[begin:end] or None

    def __contains__(self, sha256: bytes) -> bool:
        return sha256 in self._where

    def close(self) -> None:
        """Let the device go."""
        self._data.close()


def running_device(mounts: Path = Path("/proc/self/mountinfo"), at: str = "/run/appliance/ro") -> Path:
    """Where the root that runs lies (proc(5), mountinfo). Raises FileNotFoundError where nothing is mounted there."""
    for line in mounts.read_text().splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[4] == at:
            return Path(right.split()[1])
    raise FileNotFoundError(at)


def assemble(url: str, path: Path, pieces: list[Piece], slot: Slot) -> int:
    """Bring ``path`` to the whole bundle; what it holds of it already stays. Returns how many bytes were fetched.

    Raises CannotMeasure as :func:`fetch` does, and where a server knows no ranges or what came is something else.
    """
    done, size = _whole(path, pieces)
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)
    fetched = 0
    while done < len(pieces):
        if (held := slot.get(pieces[done].sha256)) is not None:
            with path.open("ab") as file:
                file.write(held)
            done, size = done + 1, size + len(held)
            continue
        run = _run(pieces, done, slot)
        end = size + sum(one.length for one in run)
        fetch(url, path, end, partial=True)
        fetched += end - size
        with path.open("rb") as file:
            file.seek(size)
            if any(hashlib.sha256(file.read(one.length)).digest() != one.sha256 for one in run):
                raise CannotMeasure(f"{url} holds something else than was announced")
        done, size = done + len(run), end
    return fetched


def _whole(path: Path, pieces: list[Piece]) -> tuple[int, int]:
    """How many pieces a part from before holds, and their bytes."""
    size = 0
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for done, one in enumerate(pieces):
            if hashlib.sha256(file.read(one.length)).digest() != one.sha256:
                return done, size
            size += one.length
        return len(pieces), size
    return 0, 0


def _run(pieces: list[Piece], begin: int, slot: Slot) -> list[Piece]:
    """The pieces that one request asks for: lacking ones, and small ones between them that would not be."""
    end, total, between = begin + 1, pieces[begin].length, 0
    for at in range(begin + 1, len(pieces)):
        between += pieces[at].length
        if total + between > RUN or (pieces[at].sha256 in slot and between > GAP):
            break
        if pieces[at].sha256 not in slot:
            end, total, between = at + 1, total + between, 0
    return pieces[begin:end]
