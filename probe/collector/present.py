"""The state tables: brought up to date, within the batch's transaction, for the cells that the batch touched.

What a probe says about a cell follows from what it said before, where its findings come in the order in which they
were made, and that is remembered. Otherwise it is read back from the findings through the index (cell, probe, verdict,
at): a few steps down a tree, however long the history is and in whatever order it came.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from probe.collector import bulk
from probe.collector.cells import Standing, column_key, settle
from probe.model.finding import Finding, Line, Verdict

REMEMBERED = 200_000
"""Most standings in memory, at some 300 bytes each; beyond, all are forgotten and read again."""

_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_FINDING = msgspec.json.Decoder(Finding)

News = Mapping[str, Sequence[tuple[int, Finding]]]
"""Cell → what came of it, with its instant (ms)."""


class Known:
    """What the writer remembers of the state tables. It has to forget all of it when a transaction fails."""

    def __init__(self) -> None:
        self.standings: dict[str, dict[str, Standing]] = {}
        self.names: dict[str, tuple[str, str]] = {}
        self.size = 0

    def forget(self) -> None:
        """All of it."""
        self.standings.clear()
        self.names.clear()
        self.size = 0

    def of(self, db: sqlite3.Connection, cell: str) -> dict[str, Standing]:
        """Probe → its standing, of a cell."""
        found = self.standings.get(cell)
        if found is None:
            if self.size > REMEMBERED:
                self.forget()
            rows = db.execute("SELECT probe, finding_id, at, verdict, since FROM standings WHERE cell = ?", (cell,))
            found = self.standings[cell] = {row[0]: Standing(*row) for row in rows}
            self.size += len(found)
        return found


def refresh(db: sqlite3.Connection, known: Known, news: News) -> None:
    """Bring ``standings``, ``cells``, ``cell_names`` and ``crowd`` up to date. The findings themselves are stored."""
    (change,) = db.execute("SELECT coalesce(max(value), 0) FROM counters WHERE name = 'change'").fetchone()
    standings: list[tuple[object, ...]] = []
    cells: list[tuple[object, ...]] = []
    names: list[tuple[str, str]] = []
    crowd: dict[tuple[str, str], tuple[int, Line]] = {}
    for cell, some in sorted(news.items()):
        everyone = known.of(db, cell)
        touched = _settle_probes(db, cell, everyone, some, known)
        standings += [(cell, s.probe, s.finding_id, s.at, s.verdict, s.since) for s in touched]
        now = settle(everyone.values())
        finding = next((f for _, f in some if f.id == now.finding_id), None) or _stored(db, now.finding_id)
        change += 1
        column, target = column_key(finding.line), finding.target
        cells.append((
            cell, change, column, finding.measurement, msgspec.json.encode(finding.line), msgspec.json.encode(target),
            now.verdict, msgspec.json.encode(finding.interference), now.finding_id, now.since, now.last, now.agree,
            now.probes, finding.confidence,
        ))  # fmt: skip
        if known.names.get(cell) != (target.input, target.name):
            known.names[cell] = (target.input, target.name)
            names += [(name, cell) for name in sorted({target.input, target.name}) if name]
        for standing in touched:
            heard = standing.at, finding.line
            pair = column, standing.probe
            crowd[pair] = max(crowd.get(pair, heard), heard, key=lambda one: one[0])
    bulk.insert(db, "OR REPLACE INTO standings", standings)
    bulk.insert(db, "OR REPLACE INTO cells", cells)
    bulk.insert(db, "OR IGNORE INTO cell_names", names)
    bulk.insert(
        db, "INTO crowd",
        [(column, probe, msgspec.json.encode(line), at) for (column, probe), (at, line) in sorted(crowd.items())],
        "ON CONFLICT DO UPDATE SET line = excluded.line, at = excluded.at WHERE excluded.at > at",
    )  # fmt: skip
    if cells:
        db.execute("INSERT OR REPLACE INTO counters VALUES ('change', ?)", (change,))


def _settle_probes(
    db: sqlite3.Connection, cell: str, everyone: dict[str, Standing], some: Sequence[tuple[int, Finding]], known: Known
) -> list[Standing]:
    """What those probes say now who said something new."""
    touched: dict[str, bool] = {}  # whether what is remembered tells
    for at, finding in sorted(some, key=lambda one: one[0]):
        probe, before = finding.probe.id, everyone.get(finding.probe.id)
        if before is None:
            known.size += 1
            after: Standing | None = Standing(probe, finding.id, at, finding.verdict, at)
        else:
            after = _next(before, finding, at)
        touched[probe] = touched.get(probe, True) and after is not None
        if after is not None:
            everyone[probe] = after
    for probe, tells in touched.items():
        if not tells:
            everyone[probe] = _standing(db, cell, probe)
    return [everyone[probe] for probe in sorted(touched)]


def _next(before: Standing, finding: Finding, at: int) -> Standing | None:
    """What follows from the standing and a later finding alone; None where it does not tell."""
    if at <= before.at or "inconclusive" in (before.verdict, finding.verdict):
        return None
    since = before.since if before.verdict == finding.verdict else at
    return Standing(before.probe, finding.id, at, finding.verdict, since)


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


def _stored(db: sqlite3.Connection, finding_id: str) -> Finding:
    (body,) = db.execute("SELECT body FROM findings WHERE id = ?", (finding_id,)).fetchone()
    return _FINDING.decode(body)
