"""Within one batch, whatever its order: the same as message by message; and what is remembered is never wrong."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector import instants, present, rollup
from probe.collector.cells import Cell
from probe.collector.sqlite_batch import Memory
from probe.model.errors import StoreError
from probe.model.finding import Finding, Line, Target, Verdict

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]
Capture = Callable[[Finding], tuple[str, bytes]]
VERDICTS: list[Verdict] = ["clean", "interfered", "down", "inconclusive"]


def cells(desk: Desk) -> list[Cell]:
    return sorted((msgspec.structs.replace(cell, change=0) for cell in desk.reader.cells()), key=lambda c: c.key)


def test_finding_and_capture_meet_within_a_batch(desk: Desk, probes: Probes, evidence_of: Capture) -> None:
    first, second = probes().finding("interfered"), probes(seed=3).finding("interfered")
    desk.give(first, evidence_of(first), evidence_of(second), second)
    assert [desk.reader.evidence(f.id) is not None for f in (first, second)] == [True, True]
    assert desk.reader.counters()["evidence"] == 2


def test_the_same_id_twice_in_a_batch(desk: Desk, probes: Probes) -> None:
    probe = probes()
    first = probe.finding("clean")
    outcomes = desk.give(first, first, probe.finding("interfered", id=first.id))
    assert [(o.kind, o.refused) for o in outcomes] == [("stored", ""), ("duplicate", ""), ("rejected", "same_id")]
    assert desk.reader.counters()["stored"] == 1


def test_what_an_older_version_stored_is_recognised(desk: Desk, probes: Probes) -> None:
    finding = probes().finding()
    desk.give(finding)
    with closing(sqlite3.connect(desk.path)) as old, old:
        content = msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(finding)), order="sorted")
        old.execute("UPDATE findings SET digest = ?", (hashlib.sha256(content).digest(),))
    assert [o.kind for o in desk.give(finding)] == ["duplicate"]
    (other,) = desk.give(probes(seed=0).finding("down", id=finding.id))
    assert (other.kind, other.refused) == ("rejected", "same_id")


@pytest.mark.parametrize("seed", range(3))
def test_one_by_one_or_all_at_once_remembered_or_not(
    desks: Callable[..., Desk], probes: Probes, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random, lines = Random(seed), [Line("A", 1, "MA", "fixed"), Line("B", 2, "MA", "mobile")]
    devices = [probes(f"p-{n}", lines[n % 2]) for n in range(4)]
    findings = [
        random.choice(devices).finding(
            random.choices(VERDICTS, [6, 3, 1, 1])[0], NOON + random.randrange(100) * instants.MINUTE,
            target=Target(random.choice(["one.example", "two.example"])),
        ) for _ in range(120)
    ]  # fmt: skip
    alone, together, forgetful = desks("alone"), desks("together"), desks("forgetful")
    for finding in findings:
        alone.give(finding)
    together.give(*findings)
    monkeypatch.setattr(present, "REMEMBERED", 0)
    monkeypatch.setattr(rollup, "REMEMBERED", 0)
    for start in range(0, len(findings), 9):
        forgetful.give(*findings[start : start + 9])
    assert cells(alone) == cells(together) == cells(forgetful)
    tables = []
    for desk in (alone, together, forgetful):
        with closing(sqlite3.connect(desk.path)) as db:
            tables.append([
                sorted(db.execute(f"SELECT {columns} FROM {table}"))  # noqa: S608 - of this test
                for table, columns in (("hourly h JOIN series s ON s.id = h.series", "target, access, hour, probe, n"),
                                       ("standings", "*"), ("crowd", "*"), ("cell_names", "*"))
            ])  # fmt: skip
    assert tables[0] == tables[1] == tables[2]


def test_a_batch_that_fails_leaves_nothing_to_remember(desk: Desk, probes: Probes) -> None:
    probe = probes()
    desk.give(probe.finding())
    with closing(sqlite3.connect(desk.path)) as saboteur:
        saboteur.execute("CREATE TRIGGER full BEFORE INSERT ON crowd BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        lost = probe.finding("interfered", NOON + 5, target=Target("new.example"))
        with pytest.raises(StoreError, match="disk full"):
            desk.give(lost, probe.finding("interfered", NOON + 5))
        saboteur.execute("DROP TRIGGER full")
    desk.give(probe.finding("clean", NOON + 9))
    (cell,) = desk.reader.cells()
    assert (cell.verdict, cell.since) == ("clean", NOON)
    desk.give(lost)
    assert len(desk.reader.cells()) == 2


def test_another_writer_makes_it_forget(desk: Desk, probes: Probes) -> None:
    probe = probes()
    desk.give(probe.finding())
    with closing(sqlite3.connect(desk.path)) as other, other:
        other.execute("UPDATE standings SET since = since - 60000")
    desk.give(probe.finding(at=NOON + 5))
    assert desk.reader.cells()[0].since == NOON - 60000


def test_the_memory_forgets_everything(probes: Probes) -> None:
    memory = Memory()
    assert memory.cell(probes().finding()) == memory.cell(probes().finding())
    memory.keyed.add("p-one")
    memory.forget()
    for remembered in (memory.columns, memory.keyed, memory.present.standings, memory.rollup.series):
        assert len(remembered) == 0
