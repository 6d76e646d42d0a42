"""Findings that wait until they are safe elsewhere: an SQLite file that outlives power cuts and broker outages.

One commit a batch, WAL with ``synchronous=FULL``: what :meth:`Spool.add` has returned for is on the card. What was sent
and when is only kept in memory (a table in SQLite's temp store): it is worthless after a restart, and a commit for each
send would wear the card out.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from probe.model.finding import Verdict

log = logging.getLogger(__name__)

VALUE: dict[Verdict, int] = {"clean": 0, "inconclusive": 1, "down": 2, "interfered": 3}
"""What a finding is worth keeping when there is no room; the least goes first."""

_OVERHEAD = 800  # bytes of a row besides its JSON and evidence, mostly slack of its last page (measured: 180 to 1,170)
_NEVER_SENT = """
SELECT id, measurement, verdict, json, made_at, evidence FROM finding
WHERE value = ? AND id NOT IN (SELECT id FROM sent) ORDER BY seq LIMIT ?
"""
_UNANSWERED = """
SELECT id, measurement, verdict, json, made_at, evidence FROM sent JOIN finding USING (id)
WHERE at <= ? ORDER BY times, at, seq LIMIT ?
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS finding (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, measurement TEXT NOT NULL, verdict TEXT NOT NULL,
  value INTEGER NOT NULL, made_at REAL NOT NULL, size INTEGER NOT NULL, json BLOB NOT NULL, evidence BLOB);
CREATE INDEX IF NOT EXISTS by_value ON finding (value, seq);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TEMP TABLE sent (id TEXT PRIMARY KEY, at REAL NOT NULL, times INTEGER NOT NULL);
"""


class Entry(msgspec.Struct, frozen=True):
    """One spooled finding. ``json`` is the finding as published, ``evidence`` its compressed packets or nothing.

    ``made_at``: seconds since the epoch.
    """

    id: str
    measurement: str
    verdict: Verdict
    json: bytes
    made_at: float
    evidence: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes that it is counted as."""
        return len(self.json) + len(self.evidence or b"") + _OVERHEAD


class Spool:
    """The spool file. Not for use from several threads.

    A file that SQLite cannot read is moved aside (``.corrupt-<n>``) and counted as ``corrupt``; a new one is begun.
    Raises OSError where the folder cannot be written.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path, self.max_bytes = path, max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open()
        except sqlite3.OperationalError as error:
            raise OSError(f"can't open the spool {path}: {error}") from None
        except sqlite3.DatabaseError as error:
            aside = self._move_aside()
            log.error("spool was corrupt (%s); kept as %s", error, aside)
            self._db = self._open()
            with self._db:
                self._count("corrupt", 1)
        total = self._db.execute("SELECT coalesce(sum(size), 0) FROM finding").fetchone()
        self.bytes: int = total[0]

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=5)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA temp_store=MEMORY")
            found = db.execute("PRAGMA quick_check").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            db.executescript(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.corrupt-{number}")).exists():
            number += 1
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(aside.with_name(aside.name + suffix))
        return aside

    def close(self) -> None:
        """Close the file. What it holds stays."""
        self._db.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """Keep a batch, in one commit; an id that is already there is left as it is.

        Where ``max_bytes`` is then exceeded, the least valuable findings are dropped, the oldest first, and counted.
        Raises OSError where the disk is full or fails; then nothing of the batch is kept.
        """
        before = self.bytes
        try:
            with self._db:
                for e in entries:
                    self.bytes += e.size * self._insert(e)
                if self.bytes > self.max_bytes:
                    self._make_room()
        except sqlite3.OperationalError as error:
            self.bytes = before
            raise OSError(f"can't write to the spool {self._path}: {error}") from None

    def _insert(self, e: Entry) -> int:
        return self._db.execute(
            "INSERT INTO finding (id, measurement, verdict, value, made_at, size, json, evidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (e.id, e.measurement, e.verdict, VALUE[e.verdict], e.made_at, e.size, e.json, e.evidence),
        ).rowcount

    def _make_room(self) -> None:
        doomed: list[tuple[int, str]] = []
        dropped: Counter[str] = Counter()
        # One query a value and not one sorted by both: the index serves it, and the table may hold 100,000 rows.
        for value in sorted(VALUE.values()):
            rows = self._db.execute("SELECT seq, id, size, verdict FROM finding WHERE value = ? ORDER BY seq", (value,))
            for seq, finding_id, size, verdict in rows:
                if self.bytes <= self.max_bytes:
                    break
                doomed.append((seq, finding_id))
                dropped[verdict] += 1
                self.bytes -= size
            rows.close()
        self._db.executemany("DELETE FROM finding WHERE seq = ?", [(seq,) for seq, _ in doomed])
        self._db.executemany("DELETE FROM sent WHERE id = ?", [(finding_id,) for _, finding_id in doomed])
        for verdict, n in dropped.items():
            self._count(f"dropped.{verdict}", n)
        log.warning("the spool is full: dropped %s", ", ".join(f"{n} {verdict}" for verdict, n in dropped.items()))

    def _count(self, name: str, n: int) -> None:
        self._db.execute(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n", (name, n)
        )

    def pending(self, limit: int, not_sent_since: float) -> list[Entry]:
        """At most ``limit`` findings never sent, or last sent at ``not_sent_since`` or before (the caller's clock).

        First those never sent, the most valuable first and then the oldest; then those sent least often: a finding
        that is never acknowledged does not hold up the others.
        """
        found: list[Entry] = []
        for value in sorted(VALUE.values(), reverse=True):
            found += [Entry(*row) for row in self._db.execute(_NEVER_SENT, (value, limit - len(found)))]
        found += [Entry(*row) for row in self._db.execute(_UNANSWERED, (not_sent_since, limit - len(found)))]
        return found

    def mark_sent(self, ids: Iterable[str], at: float) -> None:
        """Remember that they were sent at ``at`` (the caller's clock)."""
        self._db.executemany(
            "INSERT INTO sent VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET at = excluded.at, times = times + 1",
            [(finding_id, at) for finding_id in ids],
        )
        self._db.commit()

    def remove(self, ids: Iterable[str]) -> int:
        """Let findings go, in one commit, because they are safe elsewhere; returns how many of them were here."""
        removed = 0
        with self._db:
            for finding_id in ids:
                row = self._db.execute("DELETE FROM finding WHERE id = ? RETURNING size", (finding_id,)).fetchone()
                if row:
                    removed += 1
                    self.bytes -= row[0]
                self._db.execute("DELETE FROM sent WHERE id = ?", (finding_id,))
        return removed

    def newest(self, limit: int) -> list[bytes]:
        """JSON of the newest findings, oldest of them first."""
        rows = self._db.execute("SELECT json FROM finding ORDER BY seq DESC LIMIT ?", (limit,)).fetchall()
        return [row[0] for row in reversed(rows)]

    @property
    def depth(self) -> int:
        """How many findings wait."""
        count: int = self._db.execute("SELECT count(*) FROM finding").fetchone()[0]
        return count

    @property
    def dropped(self) -> dict[str, int]:
        """How many were dropped for want of room, by verdict, since the state folder was made."""
        rows = self._db.execute("SELECT name, n FROM counter WHERE name LIKE 'dropped.%'")
        return {name.removeprefix("dropped."): n for name, n in rows}

    @property
    def corrupt(self) -> int:
        """How often the file was found corrupt (since the present one was begun: 0 or 1) and moved aside."""
        row = self._db.execute("SELECT n FROM counter WHERE name = 'corrupt'").fetchone()
        return row[0] if row else 0
