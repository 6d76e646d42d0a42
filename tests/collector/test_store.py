"""The embedded store is a Store and a Reader: what another one would have to be as well."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from probe.collector.sqlite_reader import SqliteReader
from probe.collector.sqlite_store import SqliteStore
from probe.collector.store import Reader, Store

if TYPE_CHECKING:
    from tests.collector.conftest import Desk


@pytest.mark.parametrize(("protocol", "embedded"), [(Store, SqliteStore), (Reader, SqliteReader)])
def test_same_methods_with_the_same_arguments(protocol: type, embedded: type) -> None:
    wanted = {name: value for name, value in vars(protocol).items() if not name.startswith("_")}
    assert len(wanted) >= 3
    for name, method in wanted.items():
        assert inspect.signature(getattr(embedded, name)) == inspect.signature(method), name


def test_an_empty_store_answers_everything(desk: Desk) -> None:
    store: Store = desk.store
    reader: Reader = desk.reader
    assert store.commit([]) == []
    assert store.pinned_keys() == {}
    assert (reader.cells(), reader.findings(5), reader.probes(), reader.rejects(5)) == ([], [], [], [])
    assert reader.counters() == {}
