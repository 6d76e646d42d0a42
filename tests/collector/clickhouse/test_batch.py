"""A batch: whatever dies half-way, the message comes again and everything ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector.clickhouse.link import Link
from probe.model import feed
from probe.model.errors import StoreError
from probe.model.finding import Finding
from tests.collector.clickhouse.conftest import BreakingLink, ClickHouseDesk, new_database
from tests.collector.conftest import NOON

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]
Probes = Callable[..., "FakeProbe"]
Capture = Callable[[Finding], tuple[str, bytes]]


def shown(desk: ClickHouseDesk) -> dict[str, Any]:
    """All that a reader sees, but for how often it was sent."""
    reader = desk.reader
    cells = [msgspec.structs.replace(cell, change=0) for cell in reader.cells()]
    return {
        "cells": sorted(cells, key=lambda cell: cell.key),
        "findings": [row.id for row in reader.findings(100)],
        "evidence": [reader.evidence(row.id) for row in reader.findings(100)],
        "history": reader.history(["news.example"], 0, 1 << 60, 3_600_000),
        "rejects": sorted((row.topic, row.reason, row.head) for row in reader.rejects(100)),
        "crowd": reader.crowd(0),
        "probes": reader.probes(),
        "keys": desk.store.pinned_keys(),
    }


@pytest.mark.parametrize("links", ["server"], indirect=True)
def test_whatever_dies_half_way_is_sent_again_and_nothing_is_lost_or_doubled(
    links: Callable[[str], Link], probes: Probes, evidence_of: Capture
) -> None:
    one, two = probes("p-one"), probes("p-two")
    first, again = one.finding("interfered", NOON), one.finding("clean", NOON + 10)
    messages: list[Finding | tuple[str, bytes]] = [
        first, evidence_of(first), again, two.finding("interfered", NOON + 5), (feed.availability("p-two"), b"online"),
        (feed.finding("p-two", "dns_injection"), b"{broken"), two.finding(clock="unsynchronised"),
    ]  # fmt: skip
    whole = ClickHouseDesk(links(new_database()))
    whole.give(*messages)
    expected = shown(whole)
    assert len(expected["findings"]) == 4
    calls, breaks_at = 99, 0
    while breaks_at < calls:
        breaks_at += 1
        link = BreakingLink(links(new_database()))
        desk = ClickHouseDesk(link)
        link.calls, link.breaks_at = 0, breaks_at
        try:
            desk.give(*messages)
        except StoreError:
            link.breaks_at = 0
            desk.give(*messages)
        else:
            calls = link.calls
        link.breaks_at = 0
        assert shown(desk) == expected, f"broken at call {breaks_at}"
    assert calls > 15, "it broke at every one of its calls"


def test_another_collector_has_heard_the_probe_first(link: Link, probes: Probes) -> None:
    owner, thief = probes(seed=1), probes(seed=2)
    here, there = ClickHouseDesk(link), ClickHouseDesk(link)
    assert there.store.pinned_keys() == {}
    here.give(owner.finding())
    (refused,) = there.give(thief.finding())
    (unsigned,) = there.give(owner.finding(signed=False))
    assert (refused.refused, unsigned.refused) == ("other_key", "unsigned")
    assert len(here.reader.findings(10)) == 1


def test_two_collectors_get_the_same_finding_and_it_is_there_once(link: Link, probes: Probes) -> None:
    finding = probes().finding("interfered")
    here, there = ClickHouseDesk(link), ClickHouseDesk(link)
    assert [o.kind for o in here.give(finding)] == ["stored"]
    assert [o.kind for o in there.give(finding)] == ["duplicate"]
    assert [row.id for row in there.reader.findings(10)] == [finding.id]
    (row,) = there.reader.history(["news.example"], 0, 1 << 60, 3_600_000)
    assert row.n == 1
