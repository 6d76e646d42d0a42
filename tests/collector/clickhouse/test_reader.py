"""The reading side, beside what the shared suite asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector.clickhouse import reader
from probe.collector.clickhouse.store import ClickHouseStore
from probe.collector.store import Reader, Store
from probe.model.finding import Target
from tests.collector.conftest import NOON

if TYPE_CHECKING:
    from tests.collector.clickhouse.conftest import ClickHouseDesk
    from tests.collector.conftest import FakeProbe


@pytest.mark.parametrize(("protocol", "there"), [(Store, ClickHouseStore), (Reader, reader.ClickHouseReader)])
def test_same_methods_with_the_same_arguments(protocol: type, there: type) -> None:
    wanted = {name: value for name, value in vars(protocol).items() if not name.startswith("_")}
    assert len(wanted) >= 3
    for name, method in wanted.items():
        assert inspect.signature(getattr(there, name)) == inspect.signature(method), name


@pytest.mark.long
@pytest.mark.loopback
def test_invented_targets_can_not_make_the_page_endless(
    desk: ClickHouseDesk, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_CELLS", 3)
    probe = probes()
    for number in range(5):
        desk.give(probe.finding(target=Target(f"{number}.example"), at=NOON + number))
    assert [cell.target.input for cell in desk.reader.cells()] == ["2.example", "3.example", "4.example"]


@pytest.mark.long
@pytest.mark.loopback
def test_nothing_asked_is_nothing_found(desk: ClickHouseDesk) -> None:
    assert desk.reader.cells_named([]) == []
    assert desk.reader.history([], 0, 1, 1) == []
    assert desk.reader.looks(0, 1 << 60) == []
    assert desk.reader.incident("' OR 1 = 1 --") is None
    assert desk.reader.heartbeats("nobody", 0, 1 << 60) == []
