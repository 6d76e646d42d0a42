"""Searching the embedded store: a :class:`~probe.collector.search.Search` as SQL, and who measures where.

Findings are found through their cells: a cell has one operator and one target, and there are far fewer of them. So
undated findings of a cell that has no dated one are not found.

SQLite is told which index to go along, because it can't know: where few of the cells are meant, by cell; where many
are, by time, so that the newest page is read and no more; and where a verdict is asked for that is not clean, by that.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from probe.collector.cells import column_name
from probe.collector.search import MOST, Search
from probe.model.finding import Access

CROWD = "SELECT line, probe FROM crowd WHERE at >= ? ORDER BY column_key, probe"
NAMED = "WHERE key IN (SELECT value FROM json_each(?))"
FEW = 50
"""One in so many cells is few."""

Statement = tuple[str, list[object]]

_TIME = "coalesce(f.at, f.received_at)"


def few(search: Search) -> Statement:
    """One row with one number: 1 if few of all cells are meant."""
    cells, arguments = _cells(search)
    return f"SELECT {FEW} * (SELECT count(*) FROM ({cells})) <= (SELECT count(*) FROM cells)", arguments  # noqa: S608


def statement(search: Search, is_few: bool) -> Statement:
    """The query and its arguments; rows: id, cell, at, received_at, body, has_evidence."""
    cells, arguments = _cells(search)
    # Where they are many, each finding's cell is looked up instead of all of them being listed first.
    index, where = "findings_by_time", [f"EXISTS ({cells} AND key = f.cell)"]
    if is_few:
        index, where = "findings_by_cell", [f"f.cell IN ({cells})"]
    elif search.verdict not in (None, "clean"):
        index, where = "findings_remarkable", [*where, "f.verdict <> 'clean'"]
    for condition, value in (
        ("f.measurement = ?", search.measurement or None), ("f.verdict = ?", search.verdict),
        (f"{_TIME} >= ?", search.since), (f"{_TIME} < ?", search.until),
    ):  # fmt: skip
        if value is not None:
            where.append(condition)
            arguments.append(value)
    if search.after is not None:
        where.append(f"{_TIME} <= ? AND ({_TIME} < ? OR f.id < ?)")
        arguments += [search.after.time, search.after.time, search.after.id]
    # The page's ids first: what is sorted and passed over carries no finding with it.
    page = (
        f"SELECT f.id AS wanted FROM findings f INDEXED BY {index} WHERE {' AND '.join(where)}"  # noqa: S608
        f" ORDER BY {_TIME} DESC, f.id DESC LIMIT ?"
    )
    query = (
        "SELECT l.id, l.cell, l.at, l.received_at, l.body, l.has_evidence"  # noqa: S608 - conditions of this module
        f" FROM ({page}) CROSS JOIN listed l ON l.id = wanted ORDER BY l.time DESC, l.id DESC"
    )
    return query, [*arguments, min(search.limit, MOST)]


def _cells(search: Search) -> Statement:
    """The keys of the cells that are meant."""
    columns = [column_name(key, country, access) for country, key in search.operators for access in get_args(Access)]
    arguments: list[object] = [msgspec.json.encode(sorted(columns)).decode()]
    if not search.target:
        return "SELECT key FROM cells WHERE column_key IN (SELECT value FROM json_each(?))", arguments
    return (
        "SELECT key FROM cell_names JOIN cells ON key = cell WHERE name = ?"
        " AND +column_key IN (SELECT value FROM json_each(?))"
    ), [search.target, *arguments]
