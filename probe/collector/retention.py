"""What the embedded store lets go of, so that it does not grow for ever: by age, a little at a time.

The roll-up and the incidents are kept, and nothing that they say changes: they were told from what goes. Kept are, too:
whatever an incident's dossier holds (the findings of its series while it lasted and a day around, with their captures),
and the findings that the present state is read back from. Of a finding that goes, the id stays for a while, so that it
is not counted again when it is delivered again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from probe.collector import heartbeats_table, instants
from probe.collector.cells import cell_name, column_name
from probe.collector.ingest import digest_of
from probe.model.config import CollectorConfig

AROUND = 2 * instants.DAY
"""What came so long before or after an incident is kept with it; a dossier holds a day of it."""
AT_ONCE = 2000
"""Findings looked at in one transaction: some tens of milliseconds."""
_NEVER = -1

_CLEAN = "verdict = 'clean'"
_OTHER = "verdict <> 'clean'"
# The oldest come first in each, so that what is to be kept is not searched for what is not.
_REJECTS = (
    "DELETE FROM rejects WHERE seq IN"
    " (SELECT seq FROM (SELECT seq, received_at FROM rejects ORDER BY seq LIMIT ?) WHERE received_at < ?)"
)
_READINGS = (
    "DELETE FROM counter_readings WHERE (counter, at) IN"
    " (SELECT counter, at FROM (SELECT counter, at FROM counter_readings ORDER BY at LIMIT ?) WHERE at < ?)"
)
_IDS = (
    "DELETE FROM thinned WHERE rowid IN"
    " (SELECT number FROM (SELECT rowid AS number, received_at FROM thinned ORDER BY rowid LIMIT ?)"
    " WHERE received_at < ?)"
)


class Rules(msgspec.Struct, frozen=True):
    """How long what is kept, in ms after it came; None: for ever. ``ids``: of findings that are gone."""

    clean: int | None = None
    other: int | None = None
    evidence: int | None = None
    rejects: int | None = None
    readings: int | None = None
    ids: int | None = None
    heartbeats: int | None = None


def rules(config: CollectorConfig) -> Rules:
    """As the configuration says it, in days; 0: for ever."""
    return Rules(*(
        round(days * instants.DAY) or None
        for days in (
            config.keep_clean, config.keep_other, config.keep_evidence, config.keep_rejects, config.keep_readings,
            config.keep_ids, config.keep_heartbeats,
        )
    ))  # fmt: skip


def sweep(db: sqlite3.Connection, kept: Rules, now: int) -> bool:
    """Let go of some of what is old enough, within the caller's transaction. ``now`` in ms. True if there is more of
    it. Raises sqlite3.Error."""
    more = False
    for name, condition, age in (("clean", _CLEAN, kept.clean), ("other", _OTHER, kept.other)):
        if age is not None:
            more |= _thin(db, name, condition, now - age)
    if kept.evidence is not None:
        more |= _forget_captures(db, now - kept.evidence)
    for statement, age in ((_REJECTS, kept.rejects), (_READINGS, kept.readings), (_IDS, kept.ids)):
        if age is not None:
            more |= db.execute(statement, (AT_ONCE, now - age)).rowcount == AT_ONCE
    return heartbeats_table.sweep(db, now, kept.heartbeats, AT_ONCE) or more


def gone(db: sqlite3.Connection, finding_id: str) -> bytes | None:
    """The first bytes of the digest of a finding that was let go of; None if there was none of this id."""
    row = db.execute("SELECT digest FROM thinned WHERE id = ?", (_id(finding_id),)).fetchone()
    return bytes(row[0]) if row is not None else None


def oldest(db: sqlite3.Connection) -> int:
    """The newest of the findings that were let go of was measured at this instant (ms): none that is newer is."""
    (at,) = db.execute("SELECT coalesce(max(value), ?) FROM sweeps WHERE name = 'newest'", (_NEVER,)).fetchone()
    return int(at)


def _thin(db: sqlite3.Connection, name: str, condition: str, before: int) -> bool:
    """Findings in the order in which they came, each looked at once."""
    rows = db.execute(
        "SELECT seq, id, cell, probe, verdict, at, received_at, body FROM findings"  # noqa: S608 - of this module
        f" WHERE seq > ? AND received_at < ? AND {condition} ORDER BY seq LIMIT ?",
        (_cursor(db, name), before, AT_ONCE),
    ).fetchall()
    if not rows:
        return False
    protected = _protected(db)
    doomed = [
        (seq, finding_id, body, received_at, received_at if at is None else at)
        for seq, finding_id, cell, probe, verdict, at, received_at, body in rows
        if not _within(protected.get(cell, ()), received_at if at is None else at)
        and not (at is not None and _holds(db, cell, probe, verdict, at))
    ]
    # A prefix of the digest tells a resend from another finding.
    db.executemany(
        "INSERT OR IGNORE INTO thinned (id, digest, received_at) VALUES (?, ?, ?)",
        [(_id(finding_id), digest_of(body)[:8], received_at) for _, finding_id, body, received_at, _ in doomed],
    )
    db.executemany("DELETE FROM evidence WHERE finding_id = ?", [(one[1],) for one in doomed])
    db.executemany("DELETE FROM findings WHERE seq = ?", [(one[0],) for one in doomed])
    _move(db, name, rows[-1][0])
    _move(db, "newest", max([one[4] for one in doomed], default=_NEVER))
    _count(db, "thinned", len(doomed))
    return len(rows) == AT_ONCE


def _forget_captures(db: sqlite3.Connection, before: int) -> bool:
    rows = db.execute(
        "SELECT seq, id, cell, coalesce(at, received_at) FROM findings"
        " WHERE seq > ? AND received_at < ? AND evidence_sha256 <> '' ORDER BY seq LIMIT ?",
        (_cursor(db, "evidence"), before, AT_ONCE),
    ).fetchall()
    if not rows:
        return False
    protected = _protected(db)
    doomed = [(finding_id,) for _, finding_id, cell, at in rows if not _within(protected.get(cell, ()), at)]
    _count(db, "captures_forgotten", db.executemany("DELETE FROM evidence WHERE finding_id = ?", doomed).rowcount)
    _move(db, "evidence", rows[-1][0])
    return len(rows) == AT_ONCE


def _protected(db: sqlite3.Connection) -> dict[str, list[tuple[int, int]]]:
    """Cell → intervals of its incidents, with what is around them."""
    found: dict[str, list[tuple[int, int]]] = {}
    for country, operator, access, measurement, target, since, until in db.execute(
        "SELECT s.country, s.operator, s.access, s.measurement, s.target, i.since, i.until"
        " FROM incidents i JOIN series s ON s.id = i.series"
    ):
        cell = cell_name(column_name(operator, country, access), measurement, target)
        found.setdefault(cell, []).append((since - AROUND, until + AROUND))
    return found


def _within(intervals: Iterable[tuple[int, int]], at: int) -> bool:
    return any(since <= at <= until for since, until in intervals)


def _holds(db: sqlite3.Connection, cell: str, probe: str, verdict: str, at: int) -> bool:
    """Whether the present state hangs on a finding (`present`): the last with its verdict, or the first of the run that
    lasts."""
    return db.execute(
        "SELECT 1 FROM standings WHERE cell = ?1 AND probe = ?2 AND verdict = ?3 AND since = ?4 UNION"
        " SELECT 1 WHERE ?4 = (SELECT max(at) FROM findings WHERE cell = ?1 AND probe = ?2 AND verdict = ?3)",
        (cell, probe, verdict, at),
    ).fetchone() is not None  # fmt: skip


def _id(finding_id: str) -> bytes:
    return bytes.fromhex(finding_id.replace("-", ""))


def _cursor(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT value FROM sweeps WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row is not None else _NEVER


def _move(db: sqlite3.Connection, name: str, value: int) -> None:
    db.execute(
        "INSERT INTO sweeps VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        (name, value),
    )


def _count(db: sqlite3.Connection, name: str, number: int) -> None:
    db.execute(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, number),
    )
