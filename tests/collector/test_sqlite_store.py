"""The store: each finding once, the state a function of what is stored, rejects kept and counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import instants
from probe.collector.cells import cell_key
from probe.collector.sqlite_store import SqliteStore
from probe.collector.verdicts import Judged, Rejected
from probe.model import feed
from probe.model.errors import StoreError
from probe.model.finding import Finding, Target, Verdict

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]
Message = Callable[[Finding], tuple[str, bytes]]


def test_a_finding_is_stored_once_and_every_resend_is_answered(desk: Desk, probes: Probes) -> None:
    finding = probes().finding("interfered")
    assert [o.kind for o in desk.give(finding, finding)] == ["stored", "duplicate"]
    (again,) = desk.give(finding)
    assert (again.kind, again.answer, again.probe, again.finding_id) == ("duplicate", True, "p-one", finding.id)
    counters = desk.reader.counters()
    assert (counters["received"], counters["stored"], counters["duplicate"]) == (3, 1, 2)
    assert len(desk.reader.findings(10)) == 1


def test_the_same_id_with_other_content_is_kept_aside_and_the_first_one_stays(desk: Desk, probes: Probes) -> None:
    probe = probes()
    first = probe.finding("clean")
    second = probe.finding("interfered", id=first.id)
    desk.give(first)
    (outcome,) = desk.give(second)
    assert (outcome.kind, outcome.refused, outcome.answer) == ("rejected", "same_id", True)
    stored = desk.reader.finding(first.id)
    assert stored is not None
    assert msgspec.json.decode(stored.body, type=Finding) == first
    (kept,) = desk.reader.rejects(10)
    assert (kept.reason, first.id in kept.detail) == ("same_id", True)
    assert desk.reader.cells()[0].verdict == "clean"


def test_rejects_are_kept_whole_counted_each_time_and_stored_once(desk: Desk) -> None:
    topic = feed.finding("p-one", "dns_injection")
    first, second = desk.give((topic, b"{broken"), (topic, b"{broken"))
    assert not first.answer, "nobody knows which finding this was"
    assert second.kind == "rejected"
    (kept,) = desk.reader.rejects(10)
    assert (kept.topic, kept.reason, kept.head, kept.size) == (topic, "bad_json", b"{broken", 7)
    assert desk.reader.counters()["rejected.bad_json"] == 2


def test_ten_megabytes_leave_their_head_and_size(desk: Desk) -> None:
    desk.give((feed.finding("p-one", "dns_injection"), b"x" * 10_000_000))
    (kept,) = desk.reader.rejects(1)
    assert (kept.reason, kept.size, kept.head) == ("too_large", 10_000_000, b"x" * 4096)


def test_sql_in_the_name_of_a_target_is_a_name(desk: Desk, probes: Probes) -> None:
    nasty = "x'); DROP TABLE findings; --\x00"
    finding = probes().finding(target=Target(nasty, nasty, group="'; DELETE FROM cells; --"))
    desk.give(finding)
    (cell,) = desk.reader.cells()
    assert cell.target.input == nasty
    assert desk.reader.findings(5, cell.key)[0].target.name == nasty


def test_the_first_key_is_pinned_for_good(desk: Desk, probes: Probes) -> None:
    owner, thief = probes(seed=1), probes(seed=2)
    desk.give(owner.finding())
    (refused,) = desk.give(thief.finding())
    assert (refused.refused, refused.answer) == ("other_key", True)
    assert desk.store.pinned_keys() == {"p-one": owner.finding().signature.key}  # type: ignore[union-attr]


def test_a_new_verdict_begins_a_new_run(desk: Desk, probes: Probes) -> None:
    probe = probes()
    desk.give(probe.finding("clean", NOON), probe.finding("interfered", NOON + 10))
    desk.give(probe.finding("interfered", NOON + 20))
    (cell,) = desk.reader.cells()
    assert (cell.verdict, cell.since, cell.last, cell.agree, cell.probes) == ("interfered", NOON + 10, NOON + 20, 1, 1)
    assert cell.interference is not None
    assert cell.interference.technique == "dns_injection"


def test_late_findings_never_turn_the_state_back(desk: Desk, probes: Probes) -> None:
    probe = probes()
    desk.give(probe.finding("interfered", NOON + 10), probe.finding("interfered", NOON + 30))
    desk.give(probe.finding("clean", NOON))
    assert desk.reader.cells()[0].verdict == "interfered"
    assert desk.reader.cells()[0].since == NOON + 10
    desk.give(probe.finding("clean", NOON + 20))
    assert desk.reader.cells()[0].since == NOON + 30, "a clean one in between shortens the run"
    desk.give(probe.finding("interfered", NOON + 25))
    assert desk.reader.cells()[0].since == NOON + 25, "and a late one of the same verdict lengthens it"
    assert desk.reader.counters()["stored"] == 5


def test_an_inconclusive_finding_does_not_break_a_run(desk: Desk, probes: Probes) -> None:
    probe = probes()
    verdicts: list[Verdict] = ["interfered", "inconclusive", "interfered"]
    desk.give(*(probe.finding(verdict, NOON + n) for n, verdict in enumerate(verdicts)))
    assert desk.reader.cells()[0].since == NOON


def test_any_order_of_arrival_ends_in_the_same_state(desks: Callable[..., Desk], probes: Probes) -> None:
    devices = [probes(f"p-{n}") for n in range(3)]
    random = devices[0].random
    verdicts: list[Verdict] = ["clean", "interfered", "down", "inconclusive"]
    findings = [device.finding(random.choice(verdicts), NOON + n) for n in range(60) for device in devices]
    states = []
    for turn in range(4):
        desk = desks(f"{turn}.sqlite3")
        for start in range(0, len(findings), 7):
            desk.give(*findings[start : start + 7])
        states.append([msgspec.structs.replace(cell, change=0) for cell in desk.reader.cells()])
        random.shuffle(findings)
    assert len(states[0]) == 1
    assert states[1:] == states[:1] * 3


def test_an_undated_finding_is_stored_but_moves_nothing(desk: Desk, probes: Probes) -> None:
    finding = probes().finding("interfered", clock="unsynchronised", started_at="1970-01-01T00:01:00.000Z")
    (outcome,) = desk.give(finding)
    assert outcome.kind == "stored"
    assert desk.reader.cells() == []
    (row,) = desk.reader.findings(5)
    assert row.at is None
    assert desk.reader.counters()["undated"] == 1


def test_changes_are_numbered_so_that_a_viewer_can_catch_up(desk: Desk, probes: Probes) -> None:
    probe = probes()
    desk.give(probe.finding())
    seen = desk.reader.cells()[-1].change
    desk.give(probe.finding(at=NOON + 1, target=Target("calls.example")))
    (new,) = desk.reader.cells(after=seen)
    assert new.target.input == "calls.example"
    assert desk.reader.cells(after=new.change) == []


def test_presence_and_introduction(desk: Desk, probes: Probes) -> None:
    info = feed.Info(
        probe="p-one", software="1", line=probes().line, measurements={}, finding_schema="f", spool_depth=3
    )
    desk.give((feed.availability("p-one"), b"online"), (feed.info("p-one"), msgspec.json.encode(info)))
    assert [(p.id, p.online) for p in desk.reader.probes()] == [("p-one", True)]
    desk.give((feed.availability("p-one"), b"offline"), received_at=NOON + 5)
    assert [(p.online, p.seen) for p in desk.reader.probes()] == [(False, NOON + 5)]


def test_a_failing_disk_stores_nothing_of_the_batch_and_says_so(desk: Desk, probes: Probes, tmp_path: Path) -> None:
    probe = probes()
    desk.give(probe.finding())
    with closing(sqlite3.connect(desk.path)) as saboteur:
        saboteur.execute("CREATE TRIGGER full BEFORE INSERT ON cells BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        finding = probe.finding(at=NOON + 1)
        with pytest.raises(StoreError, match="batch of 1 messages could not be stored: disk full"):
            desk.give(finding)
        assert desk.reader.finding(finding.id) is None
        saboteur.execute("DROP TRIGGER full")
    assert [o.kind for o in desk.give(finding)] == ["stored"]


def test_the_commit_is_told_after_it_is_visible(tmp_path: Path) -> None:
    calls: list[Any] = []
    path = str(tmp_path / "f.sqlite3")

    def look() -> None:
        with closing(sqlite3.connect(path)) as other:
            calls.append(other.execute("SELECT count(*) FROM rejects").fetchone())

    store = SqliteStore(path, look)
    store.commit([Judged("t", b"p", NOON, Rejected("unknown_topic", ""))])
    store.close()
    assert calls == [(1,)]


def test_cells_follow_the_key(desk: Desk, probes: Probes) -> None:
    finding = probes().finding()
    desk.give(finding)
    assert desk.reader.cell(cell_key(finding)) == desk.reader.cells()[0]
    assert desk.reader.cell("0" * 16) is None
