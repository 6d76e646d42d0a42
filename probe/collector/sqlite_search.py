"""Searching the embedded store: a :class:`~probe.collector.search.Search` as SQL, and who measures where.

Findings are found through their cells: a cell has one operator and one target, and there are far fewer of them. So
undated findings of a cell that has no dated one are not found.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from probe.collector.cells import column_name
from probe.collector.search import MOST, Search
from probe.model.finding import Access

CROWD = "SELECT line, probe FROM crowd WHERE at >= ? ORDER BY column_key, probe"
NAMED = "WHERE key IN (SELECT value FROM json_each(?))"


def statement(search: Search) -> tuple[str, list[object]]:
    """The query and its arguments; rows: id, cell, at, received_at, body, has_evidence."""
    columns = [column_name(key, country, access) for country, key in search.operators for access in get_args(Access)]
    cells = ["column_key IN (SELECT value FROM json_each(?))"]
    arguments: list[object] = [msgspec.json.encode(sorted(columns)).decode()]
    if search.target:
        both = (f"json_extract(CAST(target AS TEXT), '$.{field}')" for field in ("input", "name"))
        cells.append(f"? IN ({', '.join(both)})")
        arguments.append(search.target)
    where = [f"cell IN (SELECT key FROM cells WHERE {' AND '.join(cells)})"]  # noqa: S608 - conditions of this module
    for condition, value in (
        ("measurement = ?", search.measurement or None), ("verdict = ?", search.verdict),
        ("time >= ?", search.since), ("time < ?", search.until),
    ):  # fmt: skip
        if value is not None:
            where.append(condition)
            arguments.append(value)
    if search.after is not None:
        where.append("time <= ? AND (time < ? OR id < ?)")
        arguments += [search.after.time, search.after.time, search.after.id]
    query = (
        "SELECT id, cell, at, received_at, body, has_evidence FROM listed"  # noqa: S608 - conditions of this module
        f" WHERE {' AND '.join(where)} ORDER BY time DESC, id DESC LIMIT ?"
    )
    return query, [*arguments, min(search.limit, MOST)]
