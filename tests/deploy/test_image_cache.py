"""A card that forgets what was not flushed, made again from a log as qemu's ``blklogwrites`` writes it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripts import load

SECTOR = 512
HEAD = struct.pack("<QQQI", 0x6A736677736872, 1, 0, SECTOR).ljust(SECTOR, b"\0")
FLUSHED = struct.pack("<QQQQ", 0, 0, 1, 0).ljust(SECTOR, b"\0")
OLD, NEW = b"o" * SECTOR, b"n" * SECTOR

cache = load("image/cache")


def write(sector: int, data: bytes) -> bytes:
    return struct.pack("<QQQQ", sector, len(data) // SECTOR, 0, 0).ljust(SECTOR, b"\0") + data


def forgotten(folder: Path, log: bytes, seed: int, until: int | None = None) -> tuple[bytes, tuple[int, int]]:
    """The card of eight old sectors after that log."""
    (folder / "log").write_bytes(log)
    (folder / "card").write_bytes(OLD * 8)
    writes = cache.Writes(folder / "log")
    end = len(writes.entries) if until is None else until
    counts = writes.replay(folder / "card", end, random.Random(seed))
    return (folder / "card").read_bytes(), counts


@given(seed=st.integers(), after=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=6))
def test_what_was_flushed_is_there_and_of_the_rest_any_part(
    tmp_path_factory: pytest.TempPathFactory, seed: int, after: list[tuple[int, int]]
) -> None:
    log = HEAD + write(7, NEW) + FLUSHED + b"".join(write(sector % 5, NEW * length) for sector, length in after)
    card, (unsafe, lost) = forgotten(tmp_path_factory.mktemp("card"), log + bytes(SECTOR), seed)
    sectors = [card[at : at + SECTOR] for at in range(0, len(card), SECTOR)]
    assert len(sectors) == 8
    assert sectors[7] == NEW, "flushed"
    assert set(sectors) <= {OLD, NEW}, "no sector is torn in itself"
    assert unsafe == len(after)
    assert 0 <= lost <= unsafe
    touched = {sector % 5 + i for sector, length in after for i in range(length)}
    assert all(sectors[i] == OLD for i in range(7) if i not in touched)
    if not lost:
        assert all(sectors[i] == NEW for i in touched)


def test_all_of_it_may_be_lost_and_some_of_it_in_part(tmp_path: Path) -> None:
    cards = [forgotten(tmp_path, HEAD + write(0, NEW * 4), seed) for seed in range(60)]
    parts = {card.count(NEW) for card, _ in cards}
    assert parts == {0, 1, 2, 3, 4}
    assert {counts for _, counts in cards} == {(1, 0), (1, 1)}


def test_what_the_emulator_was_noting_when_it_was_killed_does_not_count(tmp_path: Path) -> None:
    whole = HEAD + write(0, NEW) + FLUSHED
    for end in (write(1, NEW)[:-1], write(1, NEW)[:SECTOR], b"\1" * 100):
        card, counts = forgotten(tmp_path, whole + end, 0)
        assert (card[:SECTOR], card[SECTOR : 2 * SECTOR], counts) == (NEW, OLD, (0, 0))


def test_a_discard_moves_no_data_and_an_empty_log_nothing(tmp_path: Path) -> None:
    discard = struct.pack("<QQQQ", 0, 4, 4, 0).ljust(SECTOR, b"\0")
    assert forgotten(tmp_path, HEAD + discard + write(5, NEW) + FLUSHED, 0) == (OLD * 5 + NEW + OLD * 2, (0, 0))
    for nothing in (b"", bytes(SECTOR), HEAD):
        assert forgotten(tmp_path, nothing, 0) == (OLD * 8, (0, 0))


def test_a_cut_may_fall_before_the_log_s_end(tmp_path: Path) -> None:
    log = HEAD + write(0, NEW) + FLUSHED + write(1, NEW) + FLUSHED
    assert forgotten(tmp_path, log, 0, until=0) == (OLD * 8, (0, 0))
    assert forgotten(tmp_path, log, 0, until=2) == (NEW + OLD * 7, (0, 0))
    assert {forgotten(tmp_path, log, seed, until=3)[0] for seed in range(20)} == {NEW + OLD * 7, NEW * 2 + OLD * 6}
    assert forgotten(tmp_path, log, 0, until=4) == (NEW * 2 + OLD * 6, (0, 0))


def test_another_file_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 1024)
    with pytest.raises(ValueError, match="no log of writes"):
        cache.Writes(tmp_path / "log")
