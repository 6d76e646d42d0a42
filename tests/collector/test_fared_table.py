"""Blocks of days: whatever is added up says what the days say, and late findings are not missed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import fared_table, instants
from probe.collector.fared_table import BLOCKS, QUIET
from probe.collector.instants import DAY, HOUR
from probe.collector.sqlite_store import SWEEP, SWEEP_AGAIN, SqliteStore
from probe.collector.verdicts import Judged, NewFinding
from probe.model.finding import Target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
MIDNIGHT = NOON // DAY * DAY
Probes = Callable[..., "FakeProbe"]


@pytest.fixture
def db(desk: Desk) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as db:
        yield db


def tidied(db: sqlite3.Connection, now: int) -> set[tuple[int, int]]:
    while fared_table.tidy(db, now):
        pass
    return set(db.execute("SELECT days, start FROM fared_done"))


@given(
    st.integers(0, 200), st.integers(0, 200),
    st.sets(st.tuples(st.sampled_from(BLOCKS), st.integers(0, 60)).map(lambda one: (one[0], one[0] * one[1] * DAY))),
)
def test_a_cover_is_every_day_once(first: int, length: int, done: set[tuple[int, int]]) -> None:
    blocks, days = fared_table.cover(first * DAY, (first + length) * DAY, done)
    assert set(blocks) <= done
    told = sorted([*days, *(start + n * DAY for size, start in blocks for n in range(size))])
    assert told == [(first + n) * DAY for n in range(length)]


def test_with_all_blocks_a_year_is_a_few_rows() -> None:
    done = {(size, n * size * DAY) for size in BLOCKS for n in range(1000)}
    for n in range(64):
        blocks, days = fared_table.cover(n * DAY, (n + 365) * DAY, done)
        assert len(blocks) + len(days) <= 5 + 2 * 3 * 3


def test_only_what_is_quiet_is_added_up(desk: Desk, probes: Probes, db: sqlite3.Connection) -> None:
    probe = probes()
    desk.give(*(probe.finding(at=NOON + n * DAY) for n in range(-8, 1)), received_at=NOON + DAY)
    db.execute("DELETE FROM fared_done")
    done = tidied(db, NOON)
    assert max(start + size * DAY for size, start in done) <= NOON - QUIET
    assert (4, (MIDNIGHT - 6 * DAY) // (4 * DAY) * 4 * DAY) in done


@pytest.mark.parametrize("seed", range(4))
def test_blocks_or_none_everybody_fared_the_same(
    desk: Desk, probes: Probes, db: sqlite3.Connection, seed: int
) -> None:
    random = Random(seed)

    def give(count: int) -> None:
        for name in ("p-1", "p-2"):
            probe = probes(name, seed=random.randrange(1 << 30))
            probe.key = probes(name).key
            desk.give(*(
                probe.finding(
                    random.choice(["clean", "clean", "interfered", "down"]),
                    NOON - random.randrange(80 * 24) * HOUR,
                    target=Target(random.choice(["a.example", "b.example"])),
                ) for _ in range(count)
            ), received_at=NOON + DAY)  # fmt: skip

    def spans() -> list[tuple[int, int]]:
        found = []
        for _ in range(12):
            since = NOON - random.randrange(90 * 24) * HOUR
            found.append((since, since + random.randrange(80 * 24) * HOUR))
        return found

    give(60)
    db.execute("DELETE FROM fared_done")
    some = spans()
    before = [desk.reader.looks(*span) for span in some]
    assert tidied(db, NOON + DAY)
    assert [desk.reader.looks(*span) for span in some] == before
    give(20)  # late, into blocks that are added up
    late = [desk.reader.looks(*span) for span in some]
    assert late != before
    db.execute("DELETE FROM fared_done")
    assert [desk.reader.looks(*span) for span in some] == late, "the days say so, too"
    tidied(db, NOON + DAY)
    assert [desk.reader.looks(*span) for span in some] == late


def test_the_store_adds_up_by_itself_a_few_at_a_time(tmp_path: Path, probes: Probes) -> None:
    clock = [NOON]
    path = str(tmp_path / "findings.sqlite3")
    with closing(SqliteStore(path, now=lambda: clock[0])) as store, closing(sqlite3.connect(path)) as db:
        probe = probes()
        findings = [probe.finding(at=NOON - n * 4 * DAY) for n in range(12)]
        store.commit([
            Judged("", b"", NOON, NewFinding(one, b"{}", bytes([n]) * 16, instants.from_text(one.started_at)))
            for n, one in enumerate(findings)
        ])  # fmt: skip
        sizes = [count(db)]
        for pause in (SWEEP_AGAIN - 1, 1, *[SWEEP_AGAIN] * 3, SWEEP_AGAIN, SWEEP):
            clock[0] += pause
            store.commit([])
            sizes.append(count(db))
        assert sizes[0] == sizes[1] == fared_table.AT_ONCE
        assert sizes[2] == 2 * fared_table.AT_ONCE
        assert sizes[-1] == sizes[-2] <= 18


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM fared_done").fetchone()[0])
