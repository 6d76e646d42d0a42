"""The hourly history of targets, from a real store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.collector import history, instants
from probe.collector.incidents.model import HOUR
from probe.collector.instants import DAY
from probe.model.finding import Line, Target

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]


def test_results_by_slot_and_kind(desk: Desk, probes: Probes) -> None:
    one, two = probes(), probes("p-two")
    desk.give(
        one.finding("clean"), one.finding("clean", NOON + 5), two.finding("clean", NOON + HOUR),
        two.finding("interfered", NOON + HOUR), one.finding("clean", NOON + 2 * HOUR),
        one.finding("clean", target=Target("x.example")),
    )  # fmt: skip
    rows = desk.reader.history(["news.example"], NOON, NOON + 2 * HOUR, HOUR)
    assert [(row.start - NOON, row.what, row.n, row.probes) for row in rows] == [
        (0, "clean", 2, 1), (HOUR, "clean", 1, 1), (HOUR, "dns_injection", 1, 1),
    ]  # fmt: skip
    (first, *_) = rows
    assert (first.country, first.operator, first.named, first.access) == ("MA", "AS64501", "Atlas Telecom", "fixed")
    assert (first.measurement, first.target) == ("dns_injection", "news.example")
    together = desk.reader.history(["news.example", "x.example"], 0, 1 << 60, history.WHOLE)
    assert sorted((row.target, row.what, row.n, row.probes) for row in together) == [
        ("news.example", "clean", 4, 2), ("news.example", "dns_injection", 1, 1), ("x.example", "clean", 1, 1),
    ]  # fmt: skip
    assert {row.start for row in together} == {0}


def test_lines_are_kept_apart(desk: Desk, probes: Probes) -> None:
    desk.give(probes().finding(), probes("p-m", Line("Atlas Telecom", 64501, "MA", "mobile")).finding())
    rows = desk.reader.history(["news.example"], 0, 1 << 60, HOUR)
    assert [row.access for row in rows] == ["fixed", "mobile"]


def test_a_target_is_a_value_and_never_sql(desk: Desk, probes: Probes) -> None:
    nasty = "'); DROP TABLE series; --\"\\"
    desk.give(probes().finding(target=Target(nasty)))
    assert [row.target for row in desk.reader.history([nasty], 0, 1 << 60, HOUR)] == [nasty]
    assert desk.reader.history(["nothing"], 0, 1 << 60, HOUR) == []
    assert desk.reader.history([], 0, 1 << 60, HOUR) == []


@given(st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_days_give_what_hours_give(filled: Desk, data: st.DataObject) -> None:
    slot = data.draw(st.sampled_from([HOUR, 8 * HOUR, DAY, 4 * DAY, history.WHOLE]))
    since = NOON + data.draw(st.integers(-150, 150)) * HOUR
    until = since + data.draw(st.integers(0, 300)) * HOUR
    found: dict[tuple[int, str], tuple[int, set[str]]] = {}
    with closing(sqlite3.connect(filled.path)) as db:
        for hour, probe, what, n in db.execute("SELECT hour, probe, what, n FROM hourly ORDER BY hour"):
            if since <= hour < until:
                key = hour // slot * slot, what
                some = found.get(key, (0, set[str]()))
                found[key] = some[0] + n, some[1] | {probe}
    rows = filled.reader.history(["news.example"], since, until, slot)
    assert {(row.start, row.what): (row.n, row.probes) for row in rows} == {
        key: (n, len(some)) for key, (n, some) in found.items()
    }


@pytest.fixture
def filled(desk: Desk, probes: Probes) -> Desk:
    """Three probes, twelve days."""
    for number in range(3):
        probe = probes(f"p-{number}")
        desk.give(*(
            probe.finding(probe.random.choice(["clean", "interfered", "down"]), NOON + hour * HOUR + number)
            for hour in range(-140, 150, 2 + number)
        ), received_at=NOON + 30 * DAY)  # fmt: skip
    return desk
