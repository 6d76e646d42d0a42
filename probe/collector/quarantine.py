"""Where rejected messages are kept: whole if they could be findings, a head of them otherwise, within bounds."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection

from probe.collector.ingest import MAX_FINDING
from probe.collector.verdicts import Judged, Rejected

HEAD = 4096
"""Bytes kept of a message that is larger than any finding."""
PROBE_ROWS, PROBE_BYTES = 1000, 8 * 1024 * 1024
"""Most that one probe can fill, so that a broken or hostile one can't push out the others'."""
ALL_BYTES = 256 * 1024 * 1024


def put(db: sqlite3.Connection, message: Judged, rejected: Rejected) -> bool:
    """Keep a message aside; the same one a second time is only counted. True if it is kept whole."""
    payload = message.payload
    whole = len(payload) <= MAX_FINDING
    kept = payload if whole else payload[:HEAD]
    db.execute(
        "INSERT INTO rejects (received_at, topic, probe, reason, detail, digest, size, kept, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (topic, digest) DO NOTHING",
        (message.received_at, message.topic[:1024], rejected.probe, rejected.reason, rejected.detail,
         hashlib.sha256(payload).digest(), len(payload), len(kept), kept),
    )  # fmt: skip
    return whole


def shrink(db: sqlite3.Connection, probes: Collection[str]) -> int:
    """Drop the oldest rejects of these probes, and then of all, down to the bounds. Returns how many were dropped."""
    dropped = 0
    for probe in probes:
        rows = db.execute("SELECT seq, kept FROM rejects WHERE probe = ? ORDER BY seq", (probe,)).fetchall()
        dropped += _drop_oldest(db, rows, PROBE_ROWS, PROBE_BYTES)
    if probes:
        (size,) = db.execute("SELECT coalesce(sum(kept), 0) FROM rejects").fetchone()
        if size > ALL_BYTES:
            rows = db.execute("SELECT seq, kept FROM rejects ORDER BY seq").fetchall()
            dropped += _drop_oldest(db, rows, len(rows), ALL_BYTES)
    return dropped


def _drop_oldest(db: sqlite3.Connection, rows: list[tuple[int, int]], most: int, most_bytes: int) -> int:
    size = sum(kept for _, kept in rows)
    doomed = 0
    while len(rows) - doomed > most or size > most_bytes:
        size -= rows[doomed][1]
        doomed += 1
    db.executemany("DELETE FROM rejects WHERE seq = ?", [(seq,) for seq, _ in rows[:doomed]])
    return doomed
