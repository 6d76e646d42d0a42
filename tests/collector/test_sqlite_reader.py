"""Reading beside the writer."""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from probe.collector import fared_table, instants, sqlite_reader
from probe.collector.casebook import cases
from probe.collector.incidents.cases import MOSTLY
from probe.collector.search import Search
from probe.collector.timelines import SPANS, bounds
from probe.model.errors import StoreError
from probe.model.finding import Target
from tests.collector import many

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


PLAIN_LOOKS = """
    WITH hours AS (SELECT series, probe, max(what NOT IN ('clean', 'down', 'inconclusive')) AS bad FROM hourly
      WHERE hour BETWEEN ? AND ? AND what NOT IN ('down', 'inconclusive') GROUP BY series, hour, probe),
    homes AS (SELECT series, sum(NOT bad) >= ? * count(*) AS good FROM hours GROUP BY series, probe)
    SELECT s.operator, s.target, sum(h.good), sum(NOT h.good)
    FROM homes h JOIN series s ON s.id = h.series GROUP BY s.id ORDER BY 1, 2
"""


@pytest.mark.parametrize("seed", range(3))
def test_how_everybody_fared_by_days_is_that_by_hours(
    desk: Desk, probes: Callable[..., FakeProbe], seed: int
) -> None:
    random, hour = Random(seed), instants.HOUR
    for number in range(4):
        probe = probes(f"p-{number}")
        desk.give(*(
            probe.finding(
                random.choices(["clean", "interfered", "down", "inconclusive"], [9, 1, 1, 1])[0],  # type: ignore[arg-type]
                NOON + random.randrange(-60, 60) * hour, target=Target(random.choice(["a.example", "b.example"])),
            ) for _ in range(70)
        ), received_at=NOON + 90 * hour)  # fmt: skip
    for _ in range(25):
        since = NOON + random.randrange(-70, 60) * hour
        until = since + random.randrange(0, 120) * hour + random.choice([0, 0, 1, hour // 2])
        with closing(sqlite3.connect(desk.path)) as db:
            expected = db.execute(PLAIN_LOOKS, (since, until, MOSTLY)).fetchall()
        found = [(look.operator, look.target, look.good, look.bad) for look in desk.reader.looks(since, until)]
        assert found == expected
    assert len(desk.reader.looks(0, 1 << 60)) == 2


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_pages_ask_of_a_million_findings(desk: Desk) -> None:
    """Medians of nine below 50 ms of this thread's processor time, which is all that a query takes where nothing else
    runs; by the clock they are printed."""
    many.fill(desk.store, 1_000_000)
    with closing(sqlite3.connect(desk.path)) as db:
        while fared_table.tidy(db, many.END):  # as the store does, now and then
            db.commit()
        db.commit()
    reader, operators = desk.reader, frozenset((line.country, f"AS{line.asn}") for line in many.LINES)
    cell, finding = reader.cells()[0].key, reader.findings(1)[0].id
    asked: dict[str, Callable[[], object]] = {
        "cells": reader.cells, "cell": lambda: reader.cell(cell), "findings": lambda: reader.findings(100),
        "findings of a cell": lambda: reader.findings(100, cell), "finding": lambda: reader.finding(finding),
        "incidents": lambda: reader.incidents(1000), "probes": reader.probes, "counters": reader.counters,
        "crowd": lambda: reader.crowd(many.END - 14 * instants.DAY), "rejects": lambda: reader.rejects(100),
        **{
            f"history of {days} days": partial(reader.history, ["host3.example"], *bounds(days, many.END))
            for days in SPANS
        },
        **{
            f"search, {name}": partial(reader.search, search)
            for name, search in {
                "all": Search(operators=operators), "target": Search(operators=operators, target="host3.example"),
                "interfered": Search(operators=operators, verdict="interfered"),
                "a day long ago": Search(
                    operators=operators, since=many.END - 300 * instants.DAY, until=many.END - 299 * instants.DAY
                ),
            }.items()
        },
        **{
            f"looks of {days} days": partial(reader.looks, many.END - days * instants.DAY + 1, many.END)
            for days in SPANS
        },
        "cases": lambda: cases(reader, many.END),
    }  # fmt: skip
    for name, ask in asked.items():
        taken = [_seconds(ask) for _ in range(9)]
        spent, clock = (statistics.median(some) for some in zip(*taken, strict=True))
        print(f"{name}: {1000 * spent:.1f} ms, by the clock {1000 * clock:.1f} ms")
        assert spent < 0.05, name


def _seconds(ask: Callable[[], object]) -> tuple[float, float]:
    """Of processor time, and by the clock."""
    begun, clock = time.thread_time(), time.perf_counter()
    ask()
    return time.thread_time() - begun, time.perf_counter() - clock
