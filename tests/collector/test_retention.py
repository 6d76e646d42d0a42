"""What is let go of, and that nothing changes that was said of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector import instants, retention, schema
from probe.collector.cells import Cell
from probe.collector.instants import DAY
from probe.collector.retention import Rules, rules
from probe.model.config import CollectorConfig
from probe.model.finding import Finding, Target
from tests.collector.test_rollup import findings, give, told

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

Probes = Callable[..., "FakeProbe"]
Capture = Callable[[Finding], tuple[str, bytes]]
NOON = instants.from_text("2026-03-01T12:00:00.000Z")
LATER = NOON + 100 * DAY
CLEAN = Rules(clean=30 * DAY)


def sweep(desk: Desk, kept: Rules = CLEAN, now: int = LATER) -> None:
    with closing(schema.open_writer(desk.path)) as db:
        while True:
            with schema.transaction(db):
                if not retention.sweep(db, kept, now):
                    return


def left(desk: Desk) -> set[str]:
    return {row.id for row in desk.reader.findings(5000)}


def cells(desk: Desk) -> list[Cell]:
    return [msgspec.structs.replace(cell, change=0) for cell in desk.reader.cells()]


def rolled(desk: Desk) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(desk.path)) as db:
        return db.execute("SELECT * FROM hourly ORDER BY 1, 2, 3, 4").fetchall()


def test_clean_ones_go_and_what_hangs_on_them_stays(
    desk: Desk, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 7)
    probe = probes()
    clean = [probe.finding("clean", NOON + n) for n in range(30)]
    forged, down = probe.finding("interfered", NOON + 40), probe.finding("down", NOON + 41)
    again = [probe.finding("clean", NOON + 50 + n) for n in range(10)]
    desk.give(*clean, forged, down, *again, probe.finding(at=NOON + 70, target=Target("lone.example")))
    before = cells(desk), rolled(desk)
    sweep(desk)
    assert left(desk) >= {forged.id, down.id, again[0].id, again[-1].id}
    assert len(left(desk)) == 5, "those, and the only one of another cell"
    assert (cells(desk), rolled(desk)) == before
    assert desk.reader.counters()["thinned"] == 38
    desk.give(probe.finding("inconclusive", NOON + 80))
    assert next(cell for cell in desk.reader.cells() if cell.target.input == "news.example").since == NOON + 80
    desk.give(probe.finding("clean", NOON + 90))
    (cell,) = (cell for cell in desk.reader.cells() if cell.target.input == "news.example")
    assert (cell.verdict, cell.since) == ("clean", NOON + 50)


def test_what_is_delivered_again_is_not_counted_again(desk: Desk, probes: Probes) -> None:
    probe = probes()
    some = [probe.finding("clean", NOON + n) for n in range(9)]
    desk.give(*some)
    sweep(desk)
    before = cells(desk), rolled(desk), left(desk)
    assert [o.kind for o in desk.give(*some, received_at=LATER)] == ["duplicate"] * 9
    assert (cells(desk), rolled(desk), left(desk)) == before
    (other,) = desk.give(probe.finding("interfered", NOON + 3, id=some[3].id), received_at=LATER)
    assert (other.kind, other.refused) == ("rejected", "same_id")


def test_ids_are_forgotten_and_what_is_older_is_refused(desk: Desk, probes: Probes) -> None:
    probe = probes()
    some = [probe.finding("clean", NOON + n) for n in range(9)]
    desk.give(*some)
    sweep(desk)
    sweep(desk, Rules(clean=30 * DAY, ids=60 * DAY), NOON + 59 * DAY)
    assert desk.give(some[3], received_at=NOON + 59 * DAY)[0].kind == "duplicate"
    sweep(desk, Rules(clean=30 * DAY, ids=60 * DAY), LATER)
    before = rolled(desk)
    desk.store._kept = Rules(ids=60 * DAY)
    (outcome,) = desk.give(some[3], received_at=LATER)
    assert (outcome.refused, outcome.answer) == ("too_old", True)
    assert rolled(desk) == before


def test_an_incident_keeps_what_its_dossier_holds(desk: Desk, probes: Probes, evidence_of: Capture) -> None:
    some = findings(probes)
    give(desk, some)
    incidents = told(desk)
    last = incidents[0].ended
    assert last is not None
    captured = [f for f in some if f.evidence.pcapng_sha256]
    desk.give(*(evidence_of(f) for f in captured[:1]))
    sweep(desk, Rules(clean=1, other=1, evidence=1), LATER)
    kept = left(desk)
    around = retention.AROUND
    wanted = {
        f.id for f in some
        if incidents[0].began.until - around <= instants.from_text(f.started_at) <= last.after + around
    }  # fmt: skip
    assert wanted <= kept
    assert len(kept) < len(some)
    late = probes("home0", some[0].line).finding(
        "clean", instants.from_text(some[-1].started_at) + 5, signed=False, measurement="blackhole",
        target=some[0].target,
    )  # fmt: skip
    desk.give(late, received_at=LATER)
    assert [msgspec.structs.replace(one, silent=()) for one in told(desk)] == [
        msgspec.structs.replace(one, silent=()) for one in incidents
    ]


def test_captures_of_no_incident_go(desk: Desk, probes: Probes, evidence_of: Capture) -> None:
    finding, fresh = probes().finding("interfered"), probes("p-two").finding("interfered", LATER)
    desk.give(finding, evidence_of(finding))
    desk.give(fresh, evidence_of(fresh), received_at=LATER)
    sweep(desk, Rules(evidence=30 * DAY))
    assert desk.reader.evidence(finding.id) is None
    assert desk.reader.evidence(fresh.id) is not None
    assert left(desk) == {finding.id, fresh.id}
    assert desk.reader.counters()["captures_forgotten"] == 1


def test_rejects_and_readings_go(desk: Desk) -> None:
    desk.give(("colibri/v1/p-one/finding/voip", b"{old"))
    desk.give(("colibri/v1/p-one/finding/voip", b"{new"), received_at=LATER)
    with closing(sqlite3.connect(desk.path)) as db, db:
        db.executemany("INSERT INTO counter_readings VALUES ('fans', ?, 1, 1)", [(NOON,), (LATER,)])
    sweep(desk, Rules(rejects=30 * DAY, readings=30 * DAY))
    assert [reject.head for reject in desk.reader.rejects(9)] == [b"{new"]
    with closing(sqlite3.connect(desk.path)) as db:
        assert db.execute("SELECT at FROM counter_readings").fetchall() == [(LATER,)]


def test_the_store_sweeps_by_itself(desk: Desk, desks: Callable[..., Desk], probes: Probes) -> None:
    probe = probes()
    desk.give(*(probe.finding("clean", NOON + n) for n in range(9)))
    desk.store._kept, desk.store._now = CLEAN, lambda: LATER
    desk.give(probe.finding(at=LATER), received_at=LATER)
    assert desk.reader.counters()["thinned"] == 8, "the first of the run stays"
    assert desk.store._sweep_at > LATER


def test_days_of_the_configuration() -> None:
    kept = rules(CollectorConfig(keep_clean=0.5, keep_other=0, keep_ids=7))
    assert (kept.clean, kept.other, kept.ids) == (DAY // 2, None, 7 * DAY)
    assert rules(CollectorConfig()).clean == 30 * DAY
