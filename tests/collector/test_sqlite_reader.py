"""Reading beside the writer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector import instants, sqlite_reader
from probe.model.errors import StoreError
from probe.model.finding import Target

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")


def test_findings_come_newest_measured_first_and_by_cell(desk: Desk, probes: Callable[..., FakeProbe]) -> None:
    probe = probes()
    late = probe.finding(at=NOON - 99)
    other = probe.finding(at=NOON + 1, target=Target("other.example"))
    desk.give(probe.finding(at=NOON), other, late)
    rows = desk.reader.findings(10)
    assert [row.at for row in rows] == [NOON + 1, NOON, NOON - 99]
    assert [row.id for row in desk.reader.findings(1)] == [other.id]
    assert [row.id for row in desk.reader.findings(10, rows[0].cell)] == [other.id]


def test_an_absent_finding_is_none(desk: Desk) -> None:
    assert desk.reader.finding("01950000-0000-7000-8000-000000000001") is None
    assert desk.reader.evidence("01950000-0000-7000-8000-000000000001") is None


def test_invented_targets_can_not_make_the_page_endless(
    desk: Desk, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_reader, "MOST_CELLS", 3)
    probe = probes()
    for number in range(5):
        desk.give(probe.finding(target=Target(f"{number}.example"), at=NOON + number))
    assert [cell.target.input for cell in desk.reader.cells()] == ["2.example", "3.example", "4.example"]


def test_reading_from_many_threads_while_writing(desk: Desk, probes: Callable[..., FakeProbe]) -> None:
    probe = probes()
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            counted = desk.reader.counters().get("stored", 0)
            listed = len(desk.reader.findings(1000))
            assert listed >= counted
            seen.append(listed)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        desk.give(probe.finding(at=NOON + number))
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert seen
    assert len(desk.reader.findings(1000)) == 40


def test_a_reader_that_is_closed_says_so(desk: Desk) -> None:
    reader = sqlite_reader.SqliteReader(desk.path)
    reader.close()
    with pytest.raises(StoreError, match="can't be read"):
        reader.cells()
