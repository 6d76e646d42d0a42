"""The embedded database: its tables, and how an older one is brought up to date.

The version is SQLite's ``user_version``. A migration is appended here and never edited: a database in the field has
already run it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probe.model.errors import StoreError

MIGRATIONS = (
    """
    CREATE TABLE findings (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      cell TEXT NOT NULL,
      probe TEXT NOT NULL,
      measurement TEXT NOT NULL,
      verdict TEXT NOT NULL,
      technique TEXT,
      at INTEGER,                    -- ms; NULL: no trustworthy clock
      received_at INTEGER NOT NULL,  -- ms
      evidence_sha256 TEXT NOT NULL,
      digest BLOB NOT NULL,          -- of the content, to tell a resend from another finding with the same id
      body BLOB NOT NULL
    );
    CREATE INDEX findings_by_run ON findings (cell, probe, verdict, at) WHERE at IS NOT NULL;
    CREATE INDEX findings_by_cell ON findings (cell, coalesce(at, received_at));
    CREATE INDEX findings_by_time ON findings (coalesce(at, received_at));

    CREATE TABLE evidence (
      finding_id TEXT NOT NULL,
      probe TEXT NOT NULL,
      sha256 TEXT NOT NULL,
      received_at INTEGER NOT NULL,
      claimed INTEGER NOT NULL,      -- 1: its finding is stored and names this hash
      packed BLOB NOT NULL,
      PRIMARY KEY (finding_id, probe)
    ) WITHOUT ROWID;
    CREATE INDEX evidence_unclaimed ON evidence (probe, received_at) WHERE claimed = 0;

    CREATE VIEW listed AS            -- findings with what a reader wants to know beside them
      SELECT f.*, coalesce(f.at, f.received_at) AS time,
        EXISTS (SELECT 1 FROM evidence e WHERE e.finding_id = f.id AND e.probe = f.probe AND e.claimed) AS has_evidence
      FROM findings f;

    CREATE TABLE rejects (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      received_at INTEGER NOT NULL,
      topic TEXT NOT NULL,
      probe TEXT NOT NULL,
      reason TEXT NOT NULL,
      detail TEXT NOT NULL,
      digest BLOB NOT NULL,          -- of the payload: the same message twice is kept once
      size INTEGER NOT NULL,         -- bytes that came
      kept INTEGER NOT NULL,         -- bytes of it in payload
      payload BLOB NOT NULL,
      UNIQUE (topic, digest)
    );
    CREATE INDEX rejects_by_probe ON rejects (probe, seq, kept);

    CREATE TABLE standings (         -- what each probe says about a cell
      cell TEXT NOT NULL,
      probe TEXT NOT NULL,
      finding_id TEXT NOT NULL,
      at INTEGER NOT NULL,
      verdict TEXT NOT NULL,
      since INTEGER NOT NULL,
      PRIMARY KEY (cell, probe)
    ) WITHOUT ROWID;

    CREATE TABLE cells (             -- what they say together
      key TEXT PRIMARY KEY,
      change INTEGER NOT NULL,
      column_key TEXT NOT NULL,
      measurement TEXT NOT NULL,
      line BLOB NOT NULL,
      target BLOB NOT NULL,
      verdict TEXT NOT NULL,
      interference BLOB NOT NULL,
      finding_id TEXT NOT NULL,
      since INTEGER NOT NULL,
      last INTEGER NOT NULL,
      agree INTEGER NOT NULL,
      probes INTEGER NOT NULL,
      confidence REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX cells_by_change ON cells (change);

    CREATE TABLE probes (
      id TEXT PRIMARY KEY,
      online INTEGER NOT NULL DEFAULT 0,
      seen INTEGER NOT NULL,
      key TEXT NOT NULL DEFAULT '',  -- pinned at first sight
      info BLOB NOT NULL DEFAULT ''
    ) WITHOUT ROWID;

    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE series (            -- what is followed through time, whatever is done to it
      id INTEGER PRIMARY KEY,
      country TEXT NOT NULL,
      operator TEXT NOT NULL,        -- as cells.operator_key has it
      access TEXT NOT NULL,
      measurement TEXT NOT NULL,
      target TEXT NOT NULL,          -- as it was asked for
      grouped TEXT NOT NULL,         -- the target's group, as it was last told
      named TEXT NOT NULL,           -- the operator, as it was last told
      UNIQUE (country, operator, access, measurement, target)
    );
    CREATE INDEX series_by_target ON series (measurement, target);
    CREATE INDEX series_by_group ON series (country, grouped);

    CREATE TABLE hourly (            -- the roll-up: what each probe saw, hour by hour
      series INTEGER NOT NULL,
      hour INTEGER NOT NULL,         -- its beginning, ms
      probe TEXT NOT NULL,
      what TEXT NOT NULL,            -- a verdict or, where interfered, the technique
      n INTEGER NOT NULL,
      first INTEGER NOT NULL,        -- ms
      last INTEGER NOT NULL,
      PRIMARY KEY (series, hour, probe, what)
    ) WITHOUT ROWID;
    CREATE INDEX hourly_interfered ON hourly (series, what, hour) WHERE what NOT IN ('clean', 'down', 'inconclusive');

    CREATE TABLE incidents (
      id TEXT PRIMARY KEY,
      change INTEGER NOT NULL,
      series INTEGER NOT NULL,
      technique TEXT NOT NULL,
      state TEXT NOT NULL,
      since INTEGER NOT NULL,        -- first bad result, ms
      until INTEGER NOT NULL,        -- last bad result; open ones: the end of time
      body BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX incidents_by_series ON incidents (series, technique, since);
    CREATE INDEX incidents_by_time ON incidents (until, since);
    CREATE INDEX incidents_by_change ON incidents (change);

    CREATE TEMP TABLE told AS        -- what older findings said
      SELECT line ->> 'country' AS country,
        CASE WHEN line ->> 'asn' THEN 'AS' || (line ->> 'asn') ELSE lower(trim(line ->> 'operator')) END AS operator,
        line ->> 'access' AS access, measurement, target ->> 'input' AS target, target ->> 'group' AS grouped,
        line ->> 'operator' AS named, at, probe, coalesce(technique, verdict) AS what
      FROM (SELECT *, CAST(body AS TEXT) -> 'line' AS line, CAST(body AS TEXT) -> 'target' AS target FROM findings)
      WHERE at IS NOT NULL;
    INSERT INTO series (country, operator, access, measurement, target, grouped, named)
      SELECT country, operator, access, measurement, target, max(grouped), max(named) FROM told GROUP BY 1, 2, 3, 4, 5;
    INSERT INTO hourly
      SELECT s.id, at / 3600000 * 3600000, probe, what, count(*), min(at), max(at)
      FROM told JOIN series s USING (country, operator, access, measurement, target) GROUP BY 1, 2, 3, 4;
    DROP TABLE told;
    """,
    """
    CREATE TABLE notify_subscriptions (
      name TEXT PRIMARY KEY,
      choice TEXT NOT NULL,          -- what it is about; another choice begins anew
      told_at INTEGER NOT NULL       -- ms, when something was last told; 0: never
    ) WITHOUT ROWID;

    CREATE TABLE notify_told (       -- how each incident stood when it was last told, or first seen
      subscription TEXT NOT NULL,
      id TEXT NOT NULL,
      at INTEGER NOT NULL,
      sent INTEGER NOT NULL,         -- 1: a message went out
      body BLOB NOT NULL,
      PRIMARY KEY (subscription, id)
    ) WITHOUT ROWID;

    CREATE TABLE notify_outbox (     -- written with the above in one transaction; deleted once delivered
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      subscription TEXT NOT NULL,
      body BLOB NOT NULL,
      queued_at INTEGER NOT NULL,
      failures INTEGER NOT NULL DEFAULT 0,
      next_at INTEGER NOT NULL,
      trouble TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX notify_outbox_next ON notify_outbox (subscription, seq);

    CREATE TABLE counter_readings (
      counter TEXT NOT NULL,
      at INTEGER NOT NULL,
      value INTEGER NOT NULL,
      step INTEGER NOT NULL,         -- what the page rounds to
      PRIMARY KEY (counter, at)
    ) WITHOUT ROWID;

    CREATE TABLE counter_pages (
      counter TEXT PRIMARY KEY,
      source TEXT NOT NULL,          -- address and place of the number; another one forgets the rest of this row
      etag TEXT NOT NULL DEFAULT '',
      modified TEXT NOT NULL DEFAULT '',
      next_at INTEGER NOT NULL DEFAULT 0,
      failures INTEGER NOT NULL DEFAULT 0,
      trouble TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID;

    CREATE TABLE counter_hosts (     -- so that a restart asks nobody twice in a minute
      host TEXT PRIMARY KEY,         -- its name; its robots.txt: its origin
      asked_at INTEGER NOT NULL DEFAULT 0,
      wait_until INTEGER NOT NULL DEFAULT 0,
      robots TEXT,                   -- NULL: not known
      robots_at INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE crowd (             -- who measures where, and when last
      column_key TEXT NOT NULL,
      probe TEXT NOT NULL,
      line BLOB NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (column_key, probe)
    ) WITHOUT ROWID;
    INSERT INTO crowd
      SELECT c.column_key, s.probe, c.line, max(s.at) FROM standings s JOIN cells c ON c.key = s.cell GROUP BY 1, 2;
    CREATE INDEX cells_by_column ON cells (column_key);
    """,
    """
    CREATE TABLE cell_names (        -- what the targets of cells were asked for as, and called
      name TEXT NOT NULL,
      cell TEXT NOT NULL,
      PRIMARY KEY (name, cell)
    ) WITHOUT ROWID;
    INSERT OR IGNORE INTO cell_names SELECT json_extract(CAST(target AS TEXT), '$.input'), key FROM cells;
    INSERT OR IGNORE INTO cell_names
      SELECT json_extract(CAST(target AS TEXT), '$.name'), key FROM cells WHERE CAST(target AS TEXT) ->> 'name' <> '';
    CREATE INDEX findings_remarkable ON findings (verdict, coalesce(at, received_at)) WHERE verdict <> 'clean';
    """,
    """
    CREATE TABLE secrets (           -- keys that never leave the store
      name TEXT PRIMARY KEY,
      value BLOB NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE homes (             -- which public prefix a probe was behind, as the broker's log told: a keyed hash
      probe TEXT NOT NULL,
      since INTEGER NOT NULL,        -- ms
      home TEXT NOT NULL,
      PRIMARY KEY (probe, since)
    ) WITHOUT ROWID;

    CREATE TABLE life (              -- signed heartbeats by the hour, as sets of its twelfths (bits)
      probe TEXT NOT NULL,
      hour INTEGER NOT NULL,         -- its beginning, ms
      alive INTEGER NOT NULL,        -- in which one was made
      prompt INTEGER NOT NULL,       -- in which one was made that also came in time
      busy INTEGER NOT NULL,         -- in which anything was measured
      linked INTEGER NOT NULL,       -- in which there was a link
      first TEXT NOT NULL,           -- id of the first one
      body BLOB NOT NULL,            -- the first one as it came, signed; empty once it is old
      PRIMARY KEY (probe, hour)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE techniques (        -- which interference there ever was in a series
      series INTEGER NOT NULL,
      what TEXT NOT NULL,
      PRIMARY KEY (series, what)
    ) WITHOUT ROWID;
    CREATE TABLE due (               -- incidents that are still to be told anew
      series INTEGER NOT NULL,
      technique TEXT NOT NULL,
      PRIMARY KEY (series, technique)
    ) WITHOUT ROWID;
    INSERT INTO techniques
      SELECT DISTINCT series, what FROM hourly WHERE what NOT IN ('clean', 'down', 'inconclusive', 'interfered');
    """,
    """
    CREATE TABLE thinned (           -- findings that were let go of, so that none is counted twice
      id BLOB NOT NULL UNIQUE,       -- its 16 bytes
      digest BLOB NOT NULL,          -- the first 8 of its content's
      received_at INTEGER NOT NULL
    );
    CREATE TABLE sweeps (            -- how far each kind of sweep has come
      name TEXT PRIMARY KEY,
      value INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX evidence_by_finding ON findings (seq) WHERE evidence_sha256 <> '';
    """,
    """
    CREATE TABLE daily (             -- the roll-up again, by days, for looks at a year
      series INTEGER NOT NULL,
      day INTEGER NOT NULL,          -- its beginning, ms
      probe TEXT NOT NULL,
      what TEXT NOT NULL,
      n INTEGER NOT NULL,
      PRIMARY KEY (series, day, probe, what)
    ) WITHOUT ROWID;
    INSERT INTO daily
      SELECT series, hour / 86400000 * 86400000, probe, what, sum(n) FROM hourly GROUP BY 1, 2, 3, 4;
    CREATE INDEX series_by_asked ON series (target);
    """,
    """
    CREATE TABLE fared (             -- in which hours of a day (bits) a probe saw a series, and found it tampered with
      day INTEGER NOT NULL,          -- its beginning, ms
      series INTEGER NOT NULL,
      probe TEXT NOT NULL,
      seen INTEGER NOT NULL,
      bad INTEGER NOT NULL,
      seen_hours INTEGER NOT NULL,   -- how many they are
      bad_hours INTEGER NOT NULL,
      PRIMARY KEY (day, series, probe)
    ) WITHOUT ROWID;
    INSERT INTO fared
      SELECT hour / 86400000 * 86400000, series, probe, sum(1 << h), sum(bad << h), count(*), sum(bad) FROM (
        SELECT series, probe, hour, hour / 3600000 % 24 AS h, max(what <> 'clean') AS bad FROM hourly
        WHERE what NOT IN ('down', 'inconclusive') GROUP BY series, hour, probe
      ) GROUP BY 1, 2, 3;
    """,
    """
    CREATE TABLE fared_blocks (      -- the same added up by blocks of days, once it is old enough
      days INTEGER NOT NULL,
      start INTEGER NOT NULL,        -- its beginning, ms
      series INTEGER NOT NULL,
      probe TEXT NOT NULL,
      seen INTEGER NOT NULL,         -- hours
      bad INTEGER NOT NULL,
      PRIMARY KEY (days, start, series, probe)
    ) WITHOUT ROWID;
    CREATE TABLE fared_done (        -- the blocks that say what the days say
      days INTEGER NOT NULL,
      start INTEGER NOT NULL,
      PRIMARY KEY (days, start)
    ) WITHOUT ROWID;
    """,
    "CREATE INDEX life_bodies ON life (hour) WHERE body <> '';",  # those that are to be let go of
)


def open_writer(path: str) -> sqlite3.Connection:
    """Open, or make, the database for its one writer and bring it up to date. Raises StoreError."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit is on the disk when it returns. `stored` is a promise (contract 3).
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA busy_timeout = 10000")
            # Indexes are written all over: with 64 MB of pages in memory, and a checkpoint each 32 MB, a page that
            # many findings touch is read and written once.
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA wal_autocheckpoint = 8192")
            connection.create_function("popcount", 1, int.bit_count, deterministic=True)
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the database {path} can't be opened: {error}") from error
    return connection


def open_reader(path: str) -> sqlite3.Connection:
    """Open the database for reading, beside the writer. Raises StoreError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA busy_timeout = 10000")
    except sqlite3.Error as error:
        raise StoreError(f"the database {path} can't be read: {error}") from error
    return connection


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreError(f"the database {path} is of a newer Colibri (version {version}, known are {len(MIGRATIONS)})")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        # One script, one transaction: a power cut leaves the old version, whole.
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT")
