"""Incidents in ClickHouse, beside what the shared suite asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector.clickhouse import telling
from probe.collector.incidents.follow import Follow
from tests.collector.test_rollup import findings, give, told

if TYPE_CHECKING:
    from tests.collector.clickhouse.conftest import ClickHouseDesk
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]


def test_where_nothing_happens_nothing_is_computed(
    desk: ClickHouseDesk, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(Follow, "incidents", never)
    give(desk, findings(probes, lambda _: "good"))
    assert told(desk) == []


def test_many_series_are_told_a_few_at_a_time(
    desk: ClickHouseDesk, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_AT_ONCE", 2)
    some = [f for n in range(5) for f in findings(probes, target=f"196.20.66.{n}", prefix=f"of{n}-", homes=2)]
    give(desk, some, size=1000)
    rows = desk.reader.incidents(100)
    assert sorted(row.incident.series.target for row in rows) == [f"196.20.66.{n}" for n in range(5)]
    assert len({row.change for row in rows}) == 5
    assert desk.reader.counters()["incident_change"] == max(row.change for row in rows)
