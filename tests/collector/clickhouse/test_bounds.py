"""What a broken probe can't do to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.collector import captures, quarantine
from probe.collector.clickhouse.bounds import shrink, surplus
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.tables import TABLES, prepare
from probe.model import feed

if TYPE_CHECKING:
    from tests.collector.clickhouse.conftest import ClickHouseDesk

pytestmark = [pytest.mark.long, pytest.mark.loopback]


def test_only_what_nobody_claimed_is_surplus(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "UNCLAIMED_PER_PROBE", 2)
    prepare(link)
    waiting, findings = TABLES["waiting"], TABLES["findings"]
    rows = [("p-one", f"id{n}", "aa", 1000 + n, 0, 1) for n in range(5)]
    link.insert("waiting", waiting.names, waiting.kinds, [*rows, ("p-two", "id9", "aa", 1, 0, 1)])
    # Its finding came, and the collector died before it said so.
    link.insert("findings", findings.names, findings.kinds, [("id1", "p-one", "c", 1, 1, "aa", b"", b"{}", 1)])
    assert sorted(one[0] for one, _ in surplus(link, {"p-one", "p-two"})) == ["id0", "id2"]
    assert surplus(link, set()) == []


def test_the_oldest_rejects_of_a_probe_go_first_and_the_others_stay(
    desk: ClickHouseDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PROBE_ROWS", 3)
    for number in range(5):
        desk.give((feed.finding("p-one", "dns_injection"), b"broken %d" % number))
    desk.give((feed.finding("p-two", "dns_injection"), b"broken"))
    heads = [row.head for row in desk.reader.rejects(10)]
    assert heads == [b"broken", b"broken 4", b"broken 3", b"broken 2"]
    assert desk.reader.counters()["rejects_dropped"] == 2
    assert shrink(desk.link, set()) == []


def test_all_together_are_bounded(desk: ClickHouseDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "ALL_BYTES", 20)
    for name in ("p-one", "p-two", "p-three"):
        desk.give((feed.finding(name, "dns_injection"), b"8 bytes!"))
    assert [row.topic.split("/")[2] for row in desk.reader.rejects(10)] == ["p-three", "p-two"]
