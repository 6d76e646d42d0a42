"""From the embedded store into ClickHouse: everything that is there, once, however often it is begun again.

Findings go the way of those that arrive (:mod:`batch`), in the order in which they came, so that what follows from them
is computed, not copied. How far it has come lies in the new store, written after each batch. Of findings that were let
go of, the embedded store knows how many there were in each hour: as many narrow results stand for them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from probe.collector.cells import cell_name, column_name
from probe.collector.clickhouse.batch import FIRST, Touched
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.marks import COPIED, THINNED, Marks
from probe.collector.clickhouse.store import ClickHouseStore, Ticker
from probe.collector.clickhouse.tables import insert
from probe.collector.incidents.model import HOUR
from probe.collector.ingest import digest_of
from probe.collector.schema import MIGRATIONS, open_reader
from probe.collector.verdicts import Judged, NewFinding
from probe.model.errors import StoreError
from probe.model.finding import Finding

AT_ONCE = 10_000
"""Findings in one batch."""
CAPTURES = 200
"""Captures in one INSERT, at most 64 KiB each."""
_FINDING = msgspec.json.Decoder(Finding)

Told = Callable[[str, int, int], None]
"""Called with what is being copied, how much of it is done, and how much there is."""


class Copier:
    """Not for several threads. ``at_once``: findings in one batch."""

    def __init__(self, path: str, link: Link, told: Told, *, at_once: int = AT_ONCE) -> None:
        """Opens both. Raises StoreError, also if the database is of another version, or if the homes in the new store
        are told apart by another secret."""
        if not Path(path).exists():
            raise StoreError(f"there is no database {path} to copy from")
        self._link, self._told, self._at_once, self._tick = link, told, at_once, Ticker()
        self._store, self._marks = ClickHouseStore(link, pins=False), Marks(link, self._tick)
        self._db = open_reader(path)
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != len(MIGRATIONS):
            self._db.close()
            raise StoreError(f"{path} is of version {version}, not {len(MIGRATIONS)}: start a collector on it once")

    def copy(self) -> int:
        """All that is not there yet; returns how many findings there were to copy. Raises StoreError."""
        try:
            with closing(self._db):
                self._secret()
                self._small()
                copied = self._findings()
                self._thinned()
                return copied
        except sqlite3.Error as error:
            raise StoreError(f"the database can't be read: {error}") from error

    def _secret(self) -> None:
        """By which homes are told apart: another one would tell every home apart from itself."""
        row = self._db.execute("SELECT value FROM secrets WHERE name = 'homes'").fetchone()
        if row is None:
            return
        known = self._marks.secret()
        if known is not None and known != row[0]:
            raise StoreError(
                f"the store {self._link.database} tells homes apart by a secret of its own: a collector was there"
                " before. Name another database in collector.store, and copy before a collector starts on it"
            )
        self._marks.bring_secret(row[0])

    def _small(self) -> None:
        """Probes, where they were, and what their heartbeats proved."""
        for probe, online, seen, key, info in self._db.execute("SELECT id, online, seen, key, info FROM probes"):
            rows: list[tuple[Any, ...]] = [("seen", probe, seen, "", seen), ("online", probe, online, "", 1)]
            rows += [("key", probe, 0, key, FIRST)] if key else []  # before any that was pinned since
            rows += [("info", probe, 0, info, 1)] if info else []
            self._insert("probes", rows)
        self._insert("homes", self._db.execute("SELECT probe, since, home FROM homes").fetchall())
        (total,) = self._db.execute("SELECT count(*) FROM life").fetchone()
        done = 0
        cursor = self._db.execute("SELECT probe, hour, first, alive, prompt, busy, linked, body FROM life")
        for rows in _parts(cursor, self._at_once):
            self._insert("life", rows)
            done += len(rows)
            self._told("hours of heartbeats", done, total)

    def _findings(self) -> int:
        (total, last) = self._db.execute("SELECT count(*), coalesce(max(seq), 0) FROM findings").fetchone()
        done = self._marks.get(COPIED)
        (behind,) = self._db.execute("SELECT count(*) FROM findings WHERE seq <= ?", (done,)).fetchone()
        copied = 0
        while done < last:
            rows = self._db.execute(
                "SELECT seq, at, received_at, body FROM findings WHERE seq > ? ORDER BY seq LIMIT ?",
                (done, self._at_once),
            ).fetchall()
            if not rows:
                break
            self._store.commit([_judged(at, received_at, body) for _, at, received_at, body in rows])
            self._captures(done, rows[-1][0])
            done = rows[-1][0]
            copied += len(rows)
            self._marks.set(COPIED, done)
            self._told("findings", behind + copied, total)
        return copied

    def _captures(self, after: int, until: int) -> None:
        cursor = self._db.execute(
            "SELECT e.finding_id, e.probe, e.sha256, e.received_at, e.packed FROM findings f"
            " JOIN evidence e ON e.finding_id = f.id AND e.probe = f.probe AND e.claimed"
            " WHERE f.seq > ? AND f.seq <= ? AND f.evidence_sha256 <> ''",
            (after, until),
        )
        for rows in _parts(cursor, CAPTURES):
            self._insert("evidence", [(*row, 0, 1) for row in rows])

    def _thinned(self) -> None:
        """A result for each finding that is in the roll-up and not there any more."""
        (gone,) = self._db.execute("SELECT count(*) FROM thinned").fetchone()
        if not gone and not self._db.execute("SELECT 1 FROM sweeps WHERE name = 'newest'").fetchone():
            return
        self._marks.set(THINNED, max(1, self._marks.get(THINNED)))
        series = self._db.execute(
            "SELECT id, country, operator, access, measurement, target, grouped, named FROM series"
        ).fetchall()
        for number, (series_id, country, operator, access, measurement, target, grouped, named) in enumerate(series, 1):
            cell = cell_name(column_name(operator, country, access), measurement, target)
            rows = list(self._missing(series_id, cell, measurement))
            if rows:
                self._insert("series", [(cell, country, operator, access, measurement, target, grouped, named, 1)])
                self._insert("results", rows)
                touched = sorted({(row[0], row[2], row[1]) for row in rows})
                for start in range(0, len(touched), self._at_once):
                    said = msgspec.json.encode(Touched(touched[start : start + self._at_once]))
                    self._insert("journal", [(f"{self._tick():020}", said)])
            self._told("series with findings that were let go of", number, len(series))

    def _missing(self, series: int, cell: str, measurement: str) -> Iterator[tuple[Any, ...]]:
        """Rows for the narrow table, the same ones each time."""
        there: Counter[tuple[str, int, str]] = Counter()
        for probe, at, what in self._db.execute(
            "SELECT probe, at, coalesce(technique, verdict) FROM findings WHERE cell = ? AND at IS NOT NULL", (cell,)
        ):
            there[probe, at // HOUR * HOUR, what] += 1
        for hour, probe, what, n, first, last in self._db.execute(
            "SELECT hour, probe, what, n, first, last FROM hourly WHERE series = ? ORDER BY hour, probe, what",
            (series,),
        ):
            verdict = what if what in ("clean", "down", "inconclusive") else "interfered"
            for number in range(n - there[probe, hour, what]):
                at = last if number == 1 else first
                # No finding's id begins so, and none is found by it: they came, as far as is told, in 1970.
                yield cell, hour, probe, at, f"-{what}-{number}", verdict, what, at, 0, measurement

    def _insert(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        insert(self._link, name, rows)


def _judged(at: int | None, received_at: int, body: bytes) -> Judged:
    return Judged("", b"", received_at, NewFinding(_FINDING.decode(body), body, digest_of(body), at))


def _parts(cursor: sqlite3.Cursor, size: int) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(size):
        yield rows
