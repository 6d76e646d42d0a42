"""The pass: for all collectors, in parts, after another one, and again after a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector.clickhouse import settle
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.settle import Settler
from probe.collector.clickhouse.store import ClickHouseStore, Ticker
from probe.collector.ingest import judge_message
from probe.collector.keyring import Keyring
from probe.collector.verdicts import Judged
from probe.model.errors import StoreError
from probe.model.finding import Finding
from tests.collector.clickhouse.conftest import BreakingLink, ClickHouseDesk, new_database
from tests.collector.conftest import NOON, wire

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]
Probes = Callable[..., "FakeProbe"]


def judged(*findings: Finding) -> list[Judged]:
    return [
        Judged(topic, body, NOON, judge_message(topic, body, NOON, Keyring({}, {})))
        for topic, body in map(wire, findings)
    ]


def test_what_several_stored_is_settled_by_one_in_parts(
    link: Link, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "MOST_BATCHES", 2)
    stores = [ClickHouseStore(link) for _ in range(3)]
    probe = probes()
    for number in range(9):
        stores[number % 3].commit(judged(probe.finding("clean", NOON + number)))
    settler = Settler(link, Ticker())
    assert [settler.settle() for _ in range(6)] == [True] * 5 + [False]
    desk = ClickHouseDesk(link)
    (cell,) = desk.reader.cells()
    assert (cell.last, cell.since) == (NOON + 8, NOON)


def test_who_takes_over_goes_on_where_the_other_stopped(link: Link, probes: Probes) -> None:
    store, probe = ClickHouseStore(link), probes()
    first, second = Settler(link, Ticker()), Settler(link, Ticker())
    reader = ClickHouseDesk(link).reader
    store.commit(judged(probe.finding("clean", NOON)))
    first.settle()
    (before,) = reader.cells()
    store.commit(judged(probe.finding("interfered", NOON + 1)))
    while second.settle():
        pass
    (after,) = reader.cells()
    assert (after.verdict, after.change > before.change) == ("interfered", True)
    store.commit(judged(probe.finding("clean", NOON + 2)))
    first.begin()
    while first.settle():
        pass
    assert (reader.cells()[0].verdict, reader.cells()[0].change > after.change) == ("clean", True)


def test_a_pass_that_fails_anywhere_is_made_again(link: Link, probes: Probes) -> None:
    breaking = BreakingLink(link)
    store, probe = ClickHouseStore(link), probes()
    settler = Settler(breaking, Ticker())
    at, passed = NOON, False
    while not passed:
        at += 1
        store.commit(judged(probe.finding("interfered", at)))
        breaking.calls, breaking.breaks_at = 0, at - NOON
        try:
            settler.settle()
            passed = True
        except StoreError:
            continue
    assert at - NOON > 8, "it broke at every one of its calls"
    breaking.breaks_at = 0
    while settler.settle():
        pass
    desk = ClickHouseDesk(link)
    (cell,) = desk.reader.cells()
    assert (cell.since, cell.last) == (NOON + 1, at)
    (row,) = desk.reader.history(["news.example"], 0, 1 << 60, 3_600_000)
    assert row.n == at - NOON


@pytest.mark.parametrize("seed", range(2))
def test_late_and_inconclusive_ones_end_as_in_order(
    link: Link, links: Callable[[str], Link], probes: Probes, seed: int
) -> None:
    probe = probes(seed=seed)
    some = [
        probe.finding(probe.random.choice(["clean", "interfered", "inconclusive"]), NOON + n * 1_700_000)
        for n in range(24)
    ]
    desk = ClickHouseDesk(link)
    for finding in probe.random.sample(some, len(some)):
        desk.give(finding, received_at=NOON + 100 * 3_600_000)
    shuffled = [msgspec.structs.replace(cell, change=0) for cell in desk.reader.cells()]
    in_order = ClickHouseDesk(links(new_database()))
    in_order.give(*some, received_at=NOON + 100 * 3_600_000)
    assert [msgspec.structs.replace(cell, change=0) for cell in in_order.reader.cells()] == shuffled
    assert len(shuffled) == 1
