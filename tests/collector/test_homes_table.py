"""Homes in the store: what they change in incidents, and that one prefix is one home, whenever that becomes known."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from probe.collector import homes_table, schema
from probe.collector.incidents.model import HOUR, Incident
from probe.collector.verdicts import Connected, Judged
from probe.model.finding import Finding
from tests.collector.incidents.stories import at
from tests.collector.test_rollup import TUNISIA, findings, give, told

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

Probes = Callable[..., "FakeProbe"]
BEFORE, AFTER = at("2025-12-01"), at("2026-02-01")


def connect(desk: Desk, probe: str, home: str, when: int = BEFORE) -> None:
    desk.store.commit([Judged("", b"", when, Connected(probe, home))])


def seen(one: Incident) -> tuple[int, int, str]:
    return one.homes, one.heard, one.counted


@pytest.fixture
def some(probes: Probes) -> list[Finding]:
    return findings(probes)  # three probes: home0, home1, home2


def test_where_each_probe_was_last(desk: Desk) -> None:
    assert desk.reader.homes() == {}
    for probe, home, when in (("p-1", "a", 5), ("p-2", "a", 6), ("p-1", "b", 9)):
        connect(desk, probe, home, when)
    assert desk.reader.homes() == {"p-1": "b", "p-2": "a"}


def test_where_the_broker_tells_nothing_each_probe_counts_and_the_incident_says_so(
    desk: Desk, some: list[Finding]
) -> None:
    give(desk, some)
    assert [seen(one) for one in told(desk)] == [(3, 3, "probe")]


def test_probes_of_one_prefix_are_one_home(desk: Desk, some: list[Finding]) -> None:
    for probe, home in (("home0", "a"), ("home1", "a"), ("home2", "b")):
        connect(desk, probe, home)
    give(desk, some)
    assert [seen(one) for one in told(desk)] == [(2, 2, "prefix")]


def test_one_home_alone_opens_nothing(desk: Desk, some: list[Finding]) -> None:
    for probe in ("home0", "home1", "home2"):
        connect(desk, probe, "a")
    give(desk, some)
    assert told(desk) == []


def test_whom_the_broker_did_not_tell_of_is_no_crowd(desks: Callable[..., Desk], some: list[Finding]) -> None:
    shared, own = desks("shared"), desks("own", own_homes=True)
    for desk in (shared, own):
        connect(desk, "home0", "a")
        give(desk, some)
    assert [seen(one) for one in told(shared)] == [(2, 2, "prefix")]
    assert [seen(one) for one in told(own)] == [(3, 3, "mixed")]


@pytest.mark.parametrize("seed", range(3))
def test_whenever_the_broker_tells_it_the_incidents_are_the_same(
    desks: Callable[..., Desk], some: list[Finding], seed: int
) -> None:
    random, first, last, between = Random(seed), desks("first"), desks("last"), desks("between")
    words = [("home0", "a"), ("home1", "a"), ("home2", "b")]
    for probe, home in words:
        connect(first, probe, home)
    give(first, some)
    give(last, random.sample(some, len(some)))
    for probe, home in random.sample(words, 3):
        connect(last, probe, home, AFTER)  # what is known later held before, too
    mixed = random.sample(some, len(some))
    for number, (probe, home) in enumerate(random.sample(words, 3)):
        give(between, mixed[number::3])
        connect(between, probe, home)
    assert told(first) == told(last) == told(between)
    assert [seen(one) for one in told(first)] == [(2, 2, "prefix")]


@pytest.mark.parametrize("order", ["first", "last", "last, backwards"])
def test_a_crowd_in_one_home_abroad_makes_no_outage(desk: Desk, probes: Probes, order: str) -> None:
    """Five probes of one home say that the servers fail in Tunisia, too; two homes there say that they do not."""
    cut_here = findings(probes)
    crowd = findings(probes, line=TUNISIA, homes=5, prefix="crowd")
    honest = findings(probes, lambda *_: "good", line=TUNISIA, homes=2, prefix="honest")
    names = sorted({finding.probe.id for finding in (*cut_here, *crowd, *honest)})
    words = [(name, "crowd" if name.startswith("crowd") else name) for name in names]
    if order == "first":
        for word in words:
            connect(desk, *word)
    give(desk, [*cut_here, *crowd, *honest], size=200)
    assert order == "first" or not [one for one in told(desk) if one.series.country == "DZ"], "an outage, so far"
    if order != "first":
        for word in words if order == "last" else words[::-1]:
            connect(desk, *word, AFTER)
    assert [seen(one) for one in told(desk) if one.series.country == "DZ"] == [(3, 3, "prefix")]


def test_one_probe_stays_one_home_wherever_its_address_moves(desk: Desk, some: list[Finding]) -> None:
    alone = [f for f in some if f.probe.id == "home0"]
    for day in range(1, 16):
        connect(desk, "home0", f"prefix{day}", at(f"2026-01-{day:02}"))
    give(desk, alone)
    assert told(desk) == []


def test_a_pool_that_hands_out_one_prefix_to_two_in_turn_makes_them_no_one_home(
    desk: Desk, some: list[Finding]
) -> None:
    for probe, home, when in (
        ("home0", "a", "2025-12-01"), ("home1", "b", "2025-12-01"), ("home0", "c", "2026-01-10"),
        ("home1", "a", "2026-01-11"),
    ):  # fmt: skip
        connect(desk, probe, home, at(when))
    give(desk, [f for f in some if f.probe.id != "home2"])
    assert [seen(one) for one in told(desk)] == [(2, 2, "prefix")]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(schema.open_writer(str(tmp_path / "db"))) as db:
        yield db


def test_only_changes_are_kept_and_no_more_than_a_bound(table: sqlite3.Connection) -> None:
    for turn in range(homes_table.MOST + 10):
        homes_table.put(table, "p-one", f"{turn}", turn * HOUR)
        homes_table.put(table, "p-one", f"{turn}", turn * HOUR + 1)
    homes_table.put(table, "p-two", "x", 5)
    rows = table.execute("SELECT min(since), max(since), count(*) FROM homes WHERE probe = 'p-one'").fetchone()
    assert rows == (10 * HOUR, (homes_table.MOST + 9) * HOUR, homes_table.MOST)
    assert table.execute("SELECT count(*) FROM homes WHERE probe = 'p-two'").fetchone() == (1,)


def test_the_secret_is_made_once(table: sqlite3.Connection, tmp_path: Path) -> None:
    first = homes_table.secret(table)
    assert len(first) == 32
    assert homes_table.secret(table) == first
    with closing(schema.open_writer(str(tmp_path / "other"))) as other:
        assert homes_table.secret(other) != first
