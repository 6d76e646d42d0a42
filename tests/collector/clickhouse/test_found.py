"""The newest findings, however far back they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector import instants
from probe.collector.clickhouse import found
from tests.collector.conftest import NOON

if TYPE_CHECKING:
    from tests.collector.clickhouse.conftest import ClickHouseDesk
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]


def test_a_page_goes_back_as_far_as_it_must(desk: ClickHouseDesk, probes: Callable[..., FakeProbe]) -> None:
    probe = probes()
    ages = [0, instants.HOUR // 2, instants.HOUR * 2, instants.DAY * 2, instants.DAY * 100]
    some = [probe.finding(at=NOON - age) for age in ages]
    desk.give(*some)
    for limit in range(1, 7):
        assert [row.id for row in found.newest(desk.link, [], limit)] == [one.id for one in some[:limit]]
    assert found.newest(desk.link, ["cell = 'none'"], 5) == []


def test_an_empty_store_has_no_newest(desk: ClickHouseDesk) -> None:
    assert found.newest(desk.link, [], 5) == []
    assert found.one(desk.link, "01950000-0000-7000-8000-000000000001") is None
    assert found.evidence(desk.link, "' OR 1 = 1 --") is None
