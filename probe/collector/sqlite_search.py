"""Searching the embedded store: a :class:`~probe.collector.search.Search` as SQL, and who measures where.

Findings are found through their cells: a cell has one operator and one target, and there are far fewer of them. So
undated findings of a cell that has no dated one are not found.
"""

from __future__ import annotations

import sqlite3

import msgspec

from probe.collector.cells import operator_key
from probe.collector.search import MOST, Search
from probe.model.finding import Line

CROWD = "SELECT DISTINCT c.line, s.probe FROM standings s JOIN cells c ON c.key = s.cell WHERE s.at >= ?"
NAMED = "WHERE key IN (SELECT value FROM json_each(?))"

_LINE = msgspec.json.Decoder(Line)
_BETWEEN = "\x1f"  # no name on the feed is likely to hold it, and none that does gets anything by it


def prepare(db: sqlite3.Connection) -> None:
    """Teach a connection what operators are called here."""
    db.create_function("operator_of", 1, lambda line: _operator(_LINE.decode(line)), deterministic=True)


def statement(search: Search) -> tuple[str, list[object]]:
    """The query and its arguments; rows: id, cell, at, received_at, body, has_evidence."""
    cells = ["operator_of(line) IN (SELECT value FROM json_each(?))"]
    arguments: list[object] = [msgspec.json.encode(sorted(_BETWEEN.join(one) for one in search.operators)).decode()]
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


def _operator(line: Line) -> str:
    return _BETWEEN.join((line.country, operator_key(line)))
