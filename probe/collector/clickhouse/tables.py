"""The tables in ClickHouse, and how older ones are brought up to date. Pure, but for what asks a :class:`Link`.

Two hold what came: ``findings`` by id, whole; ``results`` by cell and hour, narrow. Everything else can be computed
from them again. Rows are never changed: a newer version of a row replaces it, at once for those who read with FINAL.
What is stored twice is there once, because every table has a key that says what "the same" is. Nothing is joined: on a
cluster each table is spread by the column that is asked for, and a second question is cheaper than a join over the
network.

Only what ClickHouse 18.16 (Debian 12) and today's versions both understand is used. Where the server is newer, rows are
synced to its disk before an INSERT returns, and the journal forgets after a month.

A migration is appended and never edited. There are no transactions: each statement must do no harm the second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from probe.collector.clickhouse.link import Link, UnreachableError
from probe.collector.clickhouse.rowbinary import literal
from probe.model.errors import StoreError


class Table(msgspec.Struct, frozen=True):
    """``columns``: name and letter (`_TYPES`), in order; ``key``: what makes a row the same as another;
    ``shard``: the column that decides where it lies; ``version``: the column by which the newer one wins."""

    name: str
    columns: str
    key: str
    shard: str
    version: str = ""
    partition: str = ""
    stamped: bool = False  # has the server's own time of insertion beside the columns
    expires: str = ""
    sums: bool = False

    @property
    def names(self) -> str:
        """Of the columns, for an INSERT."""
        return ", ".join(part.rpartition(":")[0] for part in self.columns.split())

    @property
    def kinds(self) -> str:
        """Their letters for :mod:`rowbinary`."""
        return "".join(part.rpartition(":")[2] for part in self.columns.split()).replace("u", "i")


FIRST = (
    Table("findings", "id:s probe:s cell:s at:i received_at:i sha256:s digest:b body:b kept:u", "id", "id", "kept"),
    Table(
        "results", "cell:s hour:i probe:s at:i id:s verdict:s what:s time:i received_at:i measurement:s",
        "cell, hour, probe, at, id", "cell", partition="toYYYYMM(toDateTime(intDiv(time, 1000)))",
    ),
    Table("series", "cell:s country:s operator:s access:s measurement:s target:s grouped:s named:s version:u",
          "cell", "cell", "version"),
    Table("journal", "batch:s touched:b", "stamp, batch", "batch", partition="toYYYYMM(stamp)", stamped=True,
          expires="stamp + INTERVAL 1 MONTH"),
    Table("hourly", "cell:s hour:i probe:s what:s n:i first:i last:i version:u", "cell, hour, probe, what", "cell",
          "version"),
    Table("standings", "cell:s probe:s finding_id:s at:i verdict:s since:i version:u", "cell, probe", "cell",
          "version"),
    Table(
        "cells",
        "cell:s change:u column_key:s measurement:s line:b target:b verdict:s interference:b finding_id:s since:i"
        " last:i agree:i probes:i confidence:f",
        "cell", "cell", "change",
    ),
    Table("cell_names", "name:s cell:s", "name, cell", "cell"),
    Table("crowd", "column_key:s probe:s line:b at:u", "column_key, probe", "column_key", "at"),
    Table("incidents", "id:s cell:s technique:s state:s since:i until:i body:b gone:i change:u", "id", "id", "change"),
    Table("evidence", "finding_id:s probe:s sha256:s received_at:i packed:b gone:i version:u",
          "finding_id, probe, sha256", "finding_id", "version"),
    Table("waiting", "probe:s finding_id:s sha256:s received_at:i gone:i version:u", "probe, finding_id, sha256",
          "probe", "version"),
    Table(
        "rejects", "digest:s seq:i received_at:i topic:s probe:s reason:s detail:s size:i kept:i payload:b gone:i"
        " version:u", "digest", "digest", "version",
    ),
    Table("probes", "what:s probe:s number:i text:b version:u", "what, probe", "probe", "version"),
    Table("homes", "probe:s since:i home:s", "probe, since", "probe"),
    Table("life", "probe:s hour:i id:s alive:i prompt:i busy:i linked:i body:b", "probe, hour, id", "probe"),
    Table("counters", "name:s value:i", "name", "name", sums=True),
    Table("marks", "name:s number:i text:b version:u", "name", "name", "version"),
    Table("claims", "name:s holder:s since:i until:i version:u", "name, holder", "name", "version"),
)  # fmt: skip
TABLES = {table.name: table for table in FIRST}
"""By name, as they are now."""
MIGRATIONS: tuple[tuple[Table, ...], ...] = (FIRST,)
"""What each version adds."""
_TYPES = {"s": "String", "b": "String", "i": "Int64", "u": "UInt64", "f": "Float64"}


def statements(
    tables: tuple[Table, ...], database: str, cluster: str, *, modern: bool, replicated: bool = False
) -> list[str]:
    """What makes these tables on one server, in order; harmless where they are. ``replicated``: by the servers' own
    macros ``shard`` and ``replica``."""
    made = []
    for table in tables:
        columns = ", ".join(
            f"{part.rpartition(':')[0]} {_TYPES[part.rpartition(':')[2]]}" for part in table.columns.split()
        ) + (", stamp DateTime DEFAULT now()" if table.stamped else "")
        local = f"{table.name}_local" if cluster else table.name
        kind, arguments = ("SummingMergeTree", []) if table.sums else ("ReplacingMergeTree", [table.version])
        if replicated:
            kind = f"Replicated{kind}"
            arguments = [literal(f"/colibri/{database}/{local}/{{shard}}"), literal("{replica}"), *arguments]
        engine = f"{kind}({', '.join(filter(None, arguments))})"
        tail = f" PARTITION BY {table.partition}" if table.partition else ""
        tail += f" ORDER BY ({table.key})"
        if modern:
            tail += f" TTL {table.expires}" if table.expires else ""
            tail += " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
        made.append(f"CREATE TABLE IF NOT EXISTS {database}.{local} ({columns}) ENGINE = {engine}{tail}")
        if cluster:
            made.append(
                f"CREATE TABLE IF NOT EXISTS {database}.{table.name} ({columns}) ENGINE = "
                f"Distributed({cluster}, {database}, {local}, cityHash64({table.shard}))"
            )
    return made


def insert(link: Link, name: str, rows: Sequence[Sequence[Any]]) -> None:
    """Rows, in one statement, with the table's columns in order. Raises StoreError."""
    table = TABLES[name]
    link.insert(table.name, table.names, table.kinds, rows)


def prepare(link: Link) -> None:
    """Bring every server up to date; each keeps its own version. Raises StoreError, also if one is newer or away; of
    replicas some may be, and are brought up to date when a collector starts while they are there."""
    away: list[UnreachableError] = []
    for host in range(link.hosts):
        try:
            _prepare(link, host)
        except UnreachableError as error:
            away.append(error)
    if away and not (link.replicated and len(away) < link.hosts):
        raise away[0]


def _prepare(link: Link, host: int) -> None:
    link.run(f"CREATE DATABASE IF NOT EXISTS {link.database}", host)
    link.run(
        f"CREATE TABLE IF NOT EXISTS {link.database}.versions (number Int64) ENGINE = MergeTree() ORDER BY number",
        host,
    )
    ((version,),) = link.rows("i", f"SELECT max(number) FROM {link.database}.versions", host)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the store {link.database} is of a newer Colibri (version {version}, known are {len(MIGRATIONS)})"
        )
    modern, replicated = link.modern, link.replicated
    for number, tables in enumerate(MIGRATIONS[version:], version + 1):
        for statement in statements(tables, link.database, link.cluster, modern=modern, replicated=replicated):
            link.run(statement, host)
        link.run(f"INSERT INTO {link.database}.versions (number) VALUES ({literal(number)})", host)
