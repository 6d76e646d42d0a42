"""Tables: what is made where, opened again, and refused when it is newer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from probe.collector.clickhouse import tables
from probe.collector.clickhouse.link import Link, UnreachableError
from probe.collector.clickhouse.tables import FIRST, TABLES, Table, prepare, statements
from probe.model.errors import StoreError
from tests.collector.clickhouse.conftest import new_database


@pytest.mark.parametrize("table", FIRST, ids=lambda table: table.name)
def test_every_column_that_decides_is_there(table: Table) -> None:
    names = {*table.names.split(", "), *({"stamp"} if table.stamped else ())}
    assert {*table.key.split(", "), table.shard, *([table.version] if table.version else ())} <= names
    assert len(table.kinds) == len(table.names.split(", "))
    assert set(table.kinds) <= set("sbif")


def test_a_row_lies_on_the_same_shard_as_the_one_that_it_replaces() -> None:
    assert [table.name for table in FIRST if table.shard not in table.key.split(", ")] == []


def test_one_server_has_the_tables_and_a_cluster_their_parts() -> None:
    (alone,) = statements((TABLES["crowd"],), "d", "", modern=False)
    assert alone == (
        "CREATE TABLE IF NOT EXISTS d.crowd (column_key String, probe String, line String, at UInt64)"
        " ENGINE = ReplacingMergeTree(at) ORDER BY (column_key, probe)"
    )
    part, whole = statements((TABLES["crowd"],), "d", "c", modern=False)
    assert part == alone.replace("d.crowd", "d.crowd_local")
    assert whole.endswith("ENGINE = Distributed(c, d, crowd_local, cityHash64(column_key))")
    copy, _ = statements((TABLES["crowd"],), "d", "c", modern=False, replicated=True)
    assert copy == part.replace(
        "ReplacingMergeTree(at)", "ReplicatedReplacingMergeTree('/colibri/d/crowd_local/{shard}', '{replica}', at)"
    )
    sums, _ = statements((TABLES["counters"],), "d", "c", modern=False, replicated=True)
    assert "ReplicatedSummingMergeTree('/colibri/d/counters_local/{shard}', '{replica}')" in sums
    (journal,) = statements((TABLES["journal"],), "d", "", modern=True)
    assert "TTL stamp + INTERVAL 1 MONTH SETTINGS fsync_after_insert = 1" in journal


class Away:
    """Servers of which some are out of reach; the others have nothing yet."""

    database, cluster, modern, hosts = "d", "c", True, 3

    def __init__(self, *gone: int, replicated: bool) -> None:
        self.gone, self.replicated, self.made = gone, replicated, set[int]()

    def run(self, statement: str, host: int | None = None) -> None:
        assert statement
        assert host is not None
        if host in self.gone:
            raise UnreachableError(f"{host} is out of reach")
        self.made.add(host)

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:
        assert (kinds, host is None) == ("i", False), query
        return [(0,)]

    def insert(self, table: str, columns: str, kinds: str, rows: Iterable[Sequence[Any]]) -> None:
        raise AssertionError((table, columns, kinds, rows))

    def close(self) -> None:
        """Nothing was opened."""


def test_of_replicas_some_may_be_away_and_of_shards_none() -> None:
    some = Away(0, 2, replicated=True)
    prepare(some)
    assert some.made == {1}
    for one in (Away(0, 1, 2, replicated=True), Away(2, replicated=False)):
        with pytest.raises(StoreError, match="is out of reach"):
            prepare(one)


@pytest.mark.long
@pytest.mark.loopback
def test_opening_again_changes_nothing_and_a_migration_adds_what_is_new(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(link)
    link.insert("counters", "name, value", "si", [("stored", 7)])
    prepare(link)
    monkeypatch.setattr(tables, "MIGRATIONS", (*tables.MIGRATIONS, (Table("novelties", "id:s", "id", "id"),)))
    prepare(link)
    assert link.rows("si", "SELECT name, value FROM counters") == [("stored", 7)]
    assert link.rows("s", "SELECT id FROM novelties") == []
    monkeypatch.undo()
    with pytest.raises(StoreError, match=r"of a newer Colibri \(version 2, known are 1\)"):
        prepare(link)


@pytest.mark.long
@pytest.mark.loopback
def test_a_migration_that_broke_off_is_done_again(links: Callable[[str], Link]) -> None:
    link = links(new_database())
    for host in range(link.hosts):
        link.run(f"CREATE DATABASE {link.database}", host)
        for statement in statements(FIRST[:5], link.database, link.cluster, modern=link.modern):
            link.run(statement, host)
    prepare(link)
    for name, table in TABLES.items():
        assert link.rows(table.kinds, f"SELECT {table.names} FROM {name}") == []  # noqa: S608 - of the package
