"""The state tables: recomputed, within the batch's transaction, for the cells that the batch touched.

Everything is read back from the findings through the index (cell, probe, verdict, at): a few steps down a tree for each
touched pair, however long the history is and in whatever order it came.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import get_args

import msgspec

from probe.collector.cells import Standing, column_key, settle
from probe.model.finding import Finding, Line, Verdict

_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_FINDING = msgspec.json.Decoder(Finding)


def refresh(db: sqlite3.Connection, touched: Iterable[tuple[str, str]]) -> None:
    """Bring ``standings``, ``cells`` and ``crowd`` up to date for these (cell, probe) pairs."""
    cells: dict[str, dict[str, int]] = {}
    for cell, probe in touched:
        standing = _standing(db, cell, probe)
        db.execute(
            "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?)",
            (cell, probe, standing.finding_id, standing.at, standing.verdict, standing.since),
        )
        cells.setdefault(cell, {})[probe] = standing.at
    crowd: dict[tuple[str, str], tuple[int, Line]] = {}
    for cell, heard in sorted(cells.items()):
        line = _refresh_cell(db, cell)
        for probe, at in heard.items():
            pair = column_key(line), probe
            crowd[pair] = max(crowd.get(pair, (at, line)), (at, line), key=lambda one: one[0])
    db.executemany(
        "INSERT INTO crowd VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET line = excluded.line, at = excluded.at"
        " WHERE excluded.at > at",
        [(column, probe, msgspec.json.encode(line), at) for (column, probe), (at, line) in sorted(crowd.items())],
    )


def _standing(db: sqlite3.Connection, cell: str, probe: str) -> Standing:
    newest: dict[Verdict, tuple[int, str]] = {}
    for verdict in _VERDICTS:
        row = db.execute(
            "SELECT at, id FROM findings WHERE cell = ? AND probe = ? AND verdict = ? AND at IS NOT NULL"
            " ORDER BY at DESC, id DESC LIMIT 1",
            (cell, probe, verdict),
        ).fetchone()
        if row is not None:
            newest[verdict] = row
    verdict, (at, finding_id) = max(newest.items(), key=lambda item: item[1])
    # The run began with the first such finding after the last one that said otherwise.
    before = max((a for v, (a, _) in newest.items() if v != verdict and (v != "inconclusive")), default=-1)
    (since,) = db.execute(
        "SELECT min(at) FROM findings WHERE cell = ? AND probe = ? AND verdict = ? AND at > ?",
        (cell, probe, verdict, before),
    ).fetchone()
    # Two findings of one millisecond that contradict each other leave no room for a run.
    return Standing(probe, finding_id, at, verdict, at if since is None else since)


def _refresh_cell(db: sqlite3.Connection, cell: str) -> Line:
    standings = [
        Standing(*row)
        for row in db.execute("SELECT probe, finding_id, at, verdict, since FROM standings WHERE cell = ?", (cell,))
    ]
    now = settle(standings)
    (body,) = db.execute("SELECT body FROM findings WHERE id = ?", (now.finding_id,)).fetchone()
    finding = _FINDING.decode(body)
    db.execute("INSERT INTO counters VALUES ('change', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")
    db.execute(
        "INSERT OR REPLACE INTO cells VALUES (?, (SELECT value FROM counters WHERE name = 'change'),"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (cell, column_key(finding.line), finding.measurement, msgspec.json.encode(finding.line),
         msgspec.json.encode(finding.target), now.verdict, msgspec.json.encode(finding.interference), now.finding_id,
         now.since, now.last, now.agree, now.probes, finding.confidence),
    )  # fmt: skip
    names = {name for name in (finding.target.input, finding.target.name) if name}
    db.executemany("INSERT OR IGNORE INTO cell_names VALUES (?, ?)", [(name, cell) for name in sorted(names)])
    return finding.line
