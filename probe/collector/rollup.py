"""The hourly roll-up, and the incidents that follow from it: kept up to date within the transaction of a batch.

Incidents are computed anew from the roll-up of their series, so that they are a function of what is stored, in whatever
order it came. A batch of clean findings where nothing has happened lately costs no such computation.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

import msgspec

from probe.collector import homes_table
from probe.collector.cells import operator_key
from probe.collector.incidents import retold
from probe.collector.incidents.model import HOUR, Incident, Series, Sight
from probe.collector.incidents.retold import REACH, TECHNIQUES
from probe.collector.incidents.timeline import OUTAGE_LIKE, incidents
from probe.model.finding import Finding, Technique

REMEMBERED = 100_000
"""Most series in memory, at some 400 bytes each."""
_BAD_AROUND = (
    "EXISTS (SELECT 1 FROM hourly h WHERE h.series = t.series AND h.what = t.what AND h.hour BETWEEN ?2 AND ?3"
    " AND h.what NOT IN ('clean', 'down', 'inconclusive'))"
)


class Known:
    """What the writer remembers of the series. It has to forget all of it when a transaction fails."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, str, str, str], tuple[int, str, str]] = {}  # → id; group, operator as told

    def forget(self) -> None:
        """All of it."""
        self.series.clear()


def add(db: sqlite3.Connection, known: Known, findings: Iterable[tuple[Finding, int]]) -> set[tuple[int, int]]:
    """Count dated findings, each with its instant (ms); returns the (series, hour) pairs that they are of."""
    counts: dict[tuple[int, int, str, str], list[int]] = {}
    bad: set[tuple[int, str]] = set()
    for finding, at in findings:
        what: str = finding.verdict
        number = _number(db, known, finding)
        if what == "interfered" and finding.interference is not None:
            what = finding.interference.technique
            bad.add((number, what))
        key = number, at // HOUR * HOUR, finding.probe.id, what
        count = counts.get(key)
        if count is None:
            counts[key] = [1, at, at]
        else:
            count[:] = count[0] + 1, min(count[1], at), max(count[2], at)
    db.executemany(
        "INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (series, hour, probe, what)"
        " DO UPDATE SET n = n + excluded.n, first = min(first, excluded.first), last = max(last, excluded.last)",
        [(*key, *count) for key, count in sorted(counts.items())],
    )
    db.executemany("INSERT OR IGNORE INTO techniques VALUES (?, ?)", sorted(bad))
    return {(number, hour) for number, hour, _, _ in counts}


def _number(db: sqlite3.Connection, known: Known, finding: Finding) -> int:
    """The id of a finding's series."""
    line, target = finding.line, finding.target
    key = line.country, operator_key(line), line.access, finding.measurement, target.input
    series = known.series.get(key)
    if series is None or series[1:] != (target.group, line.operator):
        if len(known.series) > REMEMBERED:
            known.forget()
        (number,) = db.execute(
            "INSERT INTO series (country, operator, access, measurement, target, grouped, named)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (country, operator, access, measurement, target)"
            " DO UPDATE SET grouped = excluded.grouped, named = excluded.named RETURNING id",
            (*key, target.group, line.operator),
        ).fetchone()
        series = known.series[key] = number, target.group, line.operator
    return series[0]


def refresh(
    db: sqlite3.Connection, touched: Iterable[tuple[int, int]], control: Collection[str], *, own_homes: bool = False
) -> None:
    """Bring the incidents of these (series, hour) pairs up to date. ``control``: probes of the control vantage;
    ``own_homes``: probes of which the broker did not tell are homes of their own."""
    spans: dict[int, tuple[int, int]] = {}
    for series, hour in touched:
        low, high = spans.get(series, (hour, hour))
        spans[series] = min(low, hour), max(high, hour)
    concerned = {
        pair for series, (low, high) in spans.items()
        for pair in (*_concerned(db, series, low, high), *_elsewhere(db, series, low, high))
    }  # fmt: skip
    for series, technique in sorted(concerned):
        _refresh(db, series, technique, control, own_homes=own_homes)


def _concerned(db: sqlite3.Connection, series: int, low: int, high: int) -> list[tuple[int, Technique]]:
    """The series with each technique of which there was anything around those hours, or of which an incident covers
    them."""
    rows = db.execute(
        f"SELECT what FROM techniques t WHERE series = ?1 AND ({_BAD_AROUND}"  # noqa: S608 - of this module
        " OR EXISTS (SELECT 1 FROM incidents i"
        " WHERE i.series = ?1 AND i.technique = t.what AND i.since <= ?3 AND i.until >= ?2))",
        (series, low - REACH, high + REACH),
    )
    return [(series, what) for (what,) in rows if what in TECHNIQUES]


def _elsewhere(db: sqlite3.Connection, series: int, low: int, high: int) -> list[tuple[int, Technique]]:
    """Other series of the same target that looked like an outage in those hours: what is found here tells them."""
    rows = db.execute(
        "SELECT t.series, t.what FROM series mine"  # noqa: S608 - of this module
        " JOIN series s ON s.measurement = mine.measurement AND s.target = mine.target AND s.id <> mine.id"
        f" JOIN techniques t ON t.series = s.id WHERE mine.id = ?1 AND {_BAD_AROUND}",
        (series, low - REACH, high + REACH),
    )
    return [(other, what) for other, what in rows if what in OUTAGE_LIKE]


def _refresh(
    db: sqlite3.Connection, number: int, technique: Technique, control: Collection[str], *, own_homes: bool
) -> None:
    series = _series(db, number, technique)
    failed = _failing(db, series, control) if technique in OUTAGE_LIKE else frozenset()
    sights = _sights(db, number, technique, control)
    # No clock: what lasts is told up to the last word that there is, so that the same findings always tell the same.
    now = max((sight.hour for sight in sights), default=0) + HOUR
    homes = homes_table.names(db, sights, own=own_homes)
    found = incidents(series, sights, now=now, failing=failed, prefix_of=homes)
    known = {
        row[0]: msgspec.json.decode(row[1], type=Incident)
        for row in db.execute(
            "SELECT id, body FROM incidents WHERE series = ? AND technique = ? ORDER BY since", (number, technique)
        )
    }
    changed, gone = retold.reconcile(known, found)
    for name, one in changed:
        _put(db, name, number, one)
    for name in gone:  # late deliveries have shown that it was none, or one with another
        db.execute("DELETE FROM incidents WHERE id = ?", (name,))
        _bump(db)


def _series(db: sqlite3.Connection, number: int, technique: Technique) -> Series:
    country, operator, access, measurement, target = db.execute(
        "SELECT country, operator, access, measurement, target FROM series WHERE id = ?", (number,)
    ).fetchone()
    return Series(country, operator, access, measurement, target, technique)


def _sights(db: sqlite3.Connection, number: int, technique: str, control: Collection[str]) -> list[Sight]:
    return retold.sights(
        db.execute(
            "SELECT hour, probe, what, n, first, last FROM hourly WHERE series = ? AND what IN ('clean', 'down', ?)",
            (number, technique),
        ),
        control,
    )


def _failing(db: sqlite3.Connection, series: Series, control: Collection[str]) -> frozenset[int]:
    """Hours in which it failed for everybody, of those in which it was bad here."""
    rows = db.execute(
        "SELECT s.country, h.hour, h.probe, max(CASE h.what WHEN 'clean' THEN 0 WHEN 'down' THEN 1 ELSE 2 END)"
        " FROM hourly h JOIN series s ON s.id = h.series"
        " WHERE s.measurement = ? AND s.target = ? AND h.what <> 'inconclusive' GROUP BY 1, 2, 3",
        (series.measurement, series.target),
    )
    return retold.failing_hours(rows, series.country, control)


def _put(db: sqlite3.Connection, name: str, number: int, one: Incident) -> None:
    db.execute(
        "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (name, _bump(db), number, one.series.technique, one.state, one.began.until, retold.end(one),
         msgspec.json.encode(one)),
    )  # fmt: skip


def _bump(db: sqlite3.Connection) -> int:
    (change,) = db.execute(
        "INSERT INTO counters VALUES ('incident_change', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    ).fetchone()
    return int(change)
