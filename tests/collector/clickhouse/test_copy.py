"""From the embedded store into ClickHouse: all of it, once, whatever breaks meanwhile, and the same comes out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import retention
from probe.collector.clickhouse.copy import Copier
from probe.collector.clickhouse.link import Link
from probe.collector.instants import DAY, HOUR
from probe.collector.retention import Rules
from probe.collector.search import Search
from probe.collector.store import Reader
from probe.collector.verdicts import Connected, Judged
from probe.model.errors import StoreError
from probe.model.finding import Target
from tests.collector.clickhouse.conftest import BreakingLink, ClickHouseDesk
from tests.collector.conftest import Desk
from tests.collector.test_heartbeats_table import beat
from tests.collector.test_rollup import END, START, TUNISIA, findings, give

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]
Probes = Callable[..., "FakeProbe"]
EVERYBODY = frozenset({("MA", "AS64501"), ("DZ", "AS36947"), ("TN", "AS2609")})


def silent(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


def seen(reader: Reader, *, whole: bool = True) -> dict[str, Any]:
    """All that a page could show. ``whole``: no finding was let go of."""
    search = Search(operators=EVERYBODY, limit=1000)
    incidents = reader.incidents(100)
    return {
        "cells": sorted((msgspec.structs.replace(cell, change=0) for cell in reader.cells()), key=lambda one: one.key),
        "incidents": [msgspec.structs.replace(row, change=0) for row in incidents],
        "history": sorted(
            reader.history(["196.20.66.10", "news.example"], 0, END + 9 * DAY, HOUR), key=msgspec.structs.astuple
        ),
        "looks": reader.looks(START, END), "found": [row.id for row in reader.search(search)],
        "heartbeats": reader.heartbeats("home0", 0, END + DAY), "homes": reader.homes(), "probes": reader.probes(),
        "evidence": [reader.evidence(row.id) for row in reader.search(search)],
        "silence": [reader.silence(row.incident) for row in incidents],
        "stored": reader.counters()["stored"] if whole else 0,
    }  # fmt: skip


@pytest.fixture
def filled(embedded: Desk, probes: Probes, evidence_of: Callable[..., tuple[str, bytes]]) -> Desk:
    for probe, home in (("home0", "a"), ("home1", "a"), ("home2", "b")):
        embedded.store.commit([Judged("", b"", START, Connected(probe, home))])
    embedded.store.home_secret()
    give(embedded, findings(probes))
    give(embedded, findings(probes, lambda _: "good", line=TUNISIA, prefix="tn", homes=2))
    one = probes("home0")
    bad = one.finding("interfered", at=END, target=Target("news.example"))
    undated = probes("p-x").finding(clock="unsynchronised")
    embedded.give(bad, evidence_of(bad), undated, received_at=END)
    embedded.give(*(beat(one, START + n * HOUR) for n in range(5)), received_at=END)
    return embedded


def copy(desk: Desk, link: Link, at_once: int = 90) -> int:
    return Copier(desk.path, link, silent, at_once=at_once).copy()


def settled(target: ClickHouseDesk) -> None:
    while target.settler.settle():
        pass


def test_all_of_it_is_there_and_the_same_follows(filled: Desk, desk: ClickHouseDesk, link: Link) -> None:
    expected = seen(filled.reader)
    count = expected["stored"]
    assert count >= len(expected["found"]) > 500
    assert expected["incidents"]
    assert copy(filled, link) == count
    settled(desk)
    assert seen(desk.reader) == expected
    assert desk.store.pinned_keys() == filled.store.pinned_keys()
    assert desk.store.home_secret() == filled.store.home_secret()
    assert copy(filled, link) == 0, "again"
    settled(desk)
    assert seen(desk.reader) == expected


def test_what_came_meanwhile_is_copied_the_next_time(
    filled: Desk, desk: ClickHouseDesk, link: Link, probes: Probes
) -> None:
    copy(filled, link)
    filled.give(probes().finding(at=END + HOUR), received_at=END + HOUR)
    assert copy(filled, link) == 1
    settled(desk)
    assert seen(desk.reader) == seen(filled.reader)


@pytest.mark.parametrize("seed", range(4))
def test_broken_off_anywhere_and_begun_again(filled: Desk, desk: ClickHouseDesk, link: Link, seed: int) -> None:
    expected = seen(filled.reader)
    for breaks_at in range(3 + 5 * seed, 60, 13):
        breaking = BreakingLink(link)
        breaking.breaks_at = breaks_at
        with pytest.raises(StoreError, match="out of reach"):
            copy(filled, breaking, at_once=25)
        settled(desk)
    copy(filled, link, at_once=25)
    settled(desk)
    found = seen(desk.reader, whole=False)
    assert found == {**expected, "stored": 0}


def test_of_what_was_let_go_of_the_counts_are_kept(filled: Desk, desk: ClickHouseDesk, link: Link) -> None:
    before = seen(filled.reader, whole=False)
    with closing(sqlite3.connect(filled.path)) as db:
        while retention.sweep(db, Rules(clean=DAY), END + 100 * DAY):
            pass
        db.commit()
    expected = seen(filled.reader, whole=False)
    assert len(expected["found"]) < len(before["found"]) - 50
    gone: dict[str, object] = {"found": 0, "evidence": 0, "heartbeats": 0}
    assert {**expected, **gone} == {**before, **gone}
    for _ in range(2):
        copy(filled, link)
        settled(desk)
        assert seen(desk.reader, whole=False) == expected


def test_a_store_with_a_secret_of_its_own_is_left_alone(filled: Desk, desk: ClickHouseDesk, link: Link) -> None:
    desk.store.home_secret()
    with pytest.raises(StoreError, match="a secret of its own"):
        copy(filled, link)
    assert desk.reader.search(Search(operators=EVERYBODY)) == []


def test_what_is_no_database_of_ours(link: Link, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        Copier(str(tmp_path / "none"), link, silent)
    (tmp_path / "empty").touch()
    with pytest.raises(StoreError, match="is of version 0, not"):
        Copier(str(tmp_path / "empty"), link, silent)
