"""What the store in ClickHouse lets go of: what is old and of no incident; what was said of it stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector import heartbeats_table, instants
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.retention import EVERY, Sweeper
from probe.collector.clickhouse.store import Ticker
from probe.collector.instants import DAY
from probe.collector.retention import AROUND, Rules
from probe.collector.search import Search
from probe.model.finding import Target
from tests.collector.clickhouse.conftest import ClickHouseDesk
from tests.collector.conftest import until
from tests.collector.incidents.stories import at
from tests.collector.test_heartbeats_table import beat
from tests.collector.test_rollup import END, findings, give, told

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]
Probes = Callable[..., "FakeProbe"]
OLD, NOW = at("2025-06-01"), END + 100 * DAY


def count(link: Link, what: str) -> int:
    ((found,),) = link.rows("i", f"SELECT toInt64(count()) FROM {what}")  # noqa: S608
    return int(found)


def sweeper(link: Link, kept: Rules, now: int) -> Sweeper:
    return Sweeper(link, Ticker(), kept, lambda: now)


def test_what_is_old_goes_and_what_was_said_of_it_stays(desk: ClickHouseDesk, link: Link, probes: Probes) -> None:
    january = findings(probes)  # an incident
    give(desk, january)
    probe = probes("p-old")
    targets = [Target(f"{n}.example") for n in range(4)]
    old = [probe.finding(at=OLD + n * DAY, target=targets[n % 4]) for n in range(40)]
    desk.give(*old, received_at=OLD + 50 * DAY)
    new = [probe.finding(at=NOW - n, target=targets[n % 4]) for n in range(4)]
    desk.give(*new, received_at=NOW)
    history = [(row.start, row.n) for row in desk.reader.history(["1.example"], OLD, NOW + 1, DAY)]
    incidents, cells, counted = told(desk), desk.reader.cells(), count(link, "results")
    (cut,) = incidents
    assert cut.ended is not None
    since, ended = cut.began.until - AROUND, cut.ended.after + AROUND
    present = {name for (name,) in link.rows("s", "SELECT finding_id FROM standings FINAL")}
    left = {
        one.id for one in january
        if one.verdict != "clean" or one.id in present or since <= instants.from_text(one.started_at) <= ended
    }
    assert len(january) - len(left) > 50
    left |= {one.id for one in new}
    everybody = frozenset({("MA", "AS64501"), ("DZ", "AS36947")})
    sweep = sweeper(link, Rules(clean=30 * DAY), NOW)
    sweep.sweep()
    page = [row.id for row in desk.reader.search(Search(operators=everybody, limit=1000))]
    until(lambda: count(link, "findings") == len(left), "the servers have done it", 60)
    after = [row.id for row in desk.reader.search(Search(operators=everybody, limit=1000))]
    assert set(after) == left
    # While the servers were at it, some of what goes may still have been there; what stays was not missed for it.
    assert [name for name in page if name in left] == after
    assert set(page) <= {one.id for one in (*january, *old, *new)}
    assert desk.reader.finding(old[0].id) is None
    assert [(row.start, row.n) for row in desk.reader.history(["1.example"], OLD, NOW + 1, DAY)] == history
    assert (told(desk), desk.reader.cells()) == (incidents, cells)
    # Delivered again it is there again, and counted once.
    desk.give(old[0], received_at=NOW + 1)
    assert desk.reader.finding(old[0].id) is not None
    link.run("OPTIMIZE TABLE results" + ("_local" if link.cluster else "") + " FINAL")
    assert [(row.start, row.n) for row in desk.reader.history(["1.example"], OLD, NOW + 1, DAY)] == history
    assert count(link, "(SELECT DISTINCT cell, hour, probe, at, id FROM results)") == counted


def test_the_present_state_is_kept_however_old_it_is(desk: ClickHouseDesk, link: Link, probes: Probes) -> None:
    probe = probes()
    some = [probe.finding(at=OLD + n) for n in range(3)]
    desk.give(*some, received_at=OLD)
    cells = desk.reader.cells()
    sweeper(link, Rules(clean=DAY), NOW).sweep()
    until(lambda: count(link, "findings") == 1, "the servers have done it", 60)
    assert desk.reader.cells() == cells
    assert desk.reader.finding(cells[0].finding_id) is not None


def test_captures_refused_messages_and_heartbeats(
    desk: ClickHouseDesk, link: Link, probes: Probes, evidence_of: Callable[..., tuple[str, bytes]]
) -> None:
    probe = probes()
    bad = probe.finding("interfered", at=OLD, target=Target("lone.example"))
    desk.give(bad, evidence_of(bad), ("colibri/v1/p-one/finding/x", b"{"), beat(probe, OLD), received_at=OLD)
    desk.give(beat(probe, NOW), received_at=NOW)
    assert desk.reader.evidence(bad.id) is not None
    assert len(desk.reader.rejects(10)) == 1
    hours = len(desk.reader.heartbeats("p-one", 0, NOW))
    assert hours == 2
    sweeper(link, Rules(), NOW).sweep()
    until(lambda: desk.reader.heartbeats("p-one", 0, NOW - DAY) == [], "the signed one is gone", 60)
    assert count(link, "life") == 2, "what it proved is not"
    sweeper(link, Rules(evidence=DAY, rejects=DAY, heartbeats=NOW - OLD - 2 * DAY), NOW + EVERY).sweep()
    until(lambda: desk.reader.evidence(bad.id) is None, "the capture is gone", 60)
    until(lambda: desk.reader.rejects(10) == [], "the refused message is gone", 60)
    until(lambda: count(link, "life") == 1, "the hour is gone", 60)
    assert desk.reader.finding(bad.id) is not None
    assert heartbeats_table.BODIES < NOW - OLD


def test_once_a_day_whoever_does_it(link: Link, desk: ClickHouseDesk) -> None:
    assert desk.reader.cells() == []
    calls: list[str] = []
    run = link.run

    def counting(statement: str, host: int | None = None) -> None:
        calls.append(statement)
        run(statement, host)

    link.run = counting  # type: ignore[method-assign]
    sweeper(link, Rules(clean=DAY), NOW).sweep()
    first = len(calls)
    assert first > 0
    sweeper(link, Rules(clean=DAY), NOW + EVERY - 1).sweep()
    assert len(calls) == first
    one = sweeper(link, Rules(clean=DAY), NOW + EVERY)
    one.sweep()
    assert len(calls) == 2 * first
    one.sweep()
    assert len(calls) == 2 * first
