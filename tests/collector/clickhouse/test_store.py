"""The writing side beside what the shared suite asks."""

from __future__ import annotations

import pytest

from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.store import ClickHouseStore, Ticker


def test_ticks_grow_whatever_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5, 5, 3, 9])
    monkeypatch.setattr("time.time_ns", lambda: next(times))
    tick = Ticker()
    assert [tick() for _ in range(4)] == [5, 6, 7, 9]


@pytest.mark.long
@pytest.mark.loopback
def test_the_secret_of_the_homes_is_one_for_all_collectors(link: Link) -> None:
    here, there = ClickHouseStore(link), ClickHouseStore(link)
    assert len(here.home_secret()) == 32
    assert there.home_secret() == here.home_secret()
