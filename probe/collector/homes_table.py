"""The store's part of telling homes apart: which prefix (its keyed hash) each probe was behind, since when."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Mapping

import msgspec

from probe.collector.homes import SECRET_BYTES
from probe.collector.incidents.homes import Stay, together

END = 1 << 62
"""Until when the last one lasts."""
MOST = 1000
"""Most changes of prefix that are kept for a probe; the oldest go first. One a day is three years of them."""

LAST = "SELECT probe, home FROM homes h WHERE since = (SELECT max(since) FROM homes WHERE probe = h.probe)"
"""Where each probe was last."""

Touched = tuple[int, int]
"""(series, hour): from there on something else may follow from what is stored."""


def secret(db: sqlite3.Connection) -> bytes:
    """The key of the hashes, made at its first use and never told. Raises sqlite3.Error."""
    db.execute("INSERT OR IGNORE INTO secrets VALUES ('homes', ?)", (os.urandom(SECRET_BYTES),))
    (value,) = db.execute("SELECT value FROM secrets WHERE name = 'homes'").fetchone()
    return bytes(value)


def put(db: sqlite3.Connection, probe: str, home: str, at: int) -> list[Touched]:
    """A probe has connected from a prefix, at an instant (ms). Returns what has to be computed anew: nothing, unless
    it is the first word of this probe, or of any; then what it measured of a target with which anybody, on whatever
    line, found interference: what looks like an outage is told by those elsewhere."""
    known = db.execute("SELECT home FROM homes WHERE probe = ? ORDER BY since DESC LIMIT 1", (probe,)).fetchone()
    if known is not None and known[0] == home:
        return []
    none = db.execute("SELECT 1 FROM homes LIMIT 1").fetchone() is None
    db.execute("INSERT OR REPLACE INTO homes VALUES (?, ?, ?)", (probe, at, home))
    if known is not None:
        db.execute(
            "DELETE FROM homes WHERE probe = ? AND since <="
            " (SELECT since FROM homes WHERE probe = ? ORDER BY since DESC LIMIT 1 OFFSET ?)",
            (probe, probe, MOST),
        )
        return []
    spans = db.execute(
        "SELECT series, min(hour), max(hour) FROM hourly WHERE series IN"
        " (SELECT m.id FROM series m JOIN series s ON s.measurement = m.measurement AND s.target = m.target"
        " JOIN techniques t ON t.series = s.id) AND (? OR probe = ?) GROUP BY series",
        (none, probe),
    )
    return [(series, hour) for series, *hours in spans for hour in hours]


def names(db: sqlite3.Connection, first: Mapping[str, int], *, own: bool) -> dict[str, str]:
    """Probe → the name of its home among those that saw a series, as :func:`together` tells them apart. ``first``: of
    each the first hour (ms) in which it did.

    Empty where the broker never told of anybody.
    """
    if db.execute("SELECT 1 FROM homes LIMIT 1").fetchone() is None:
        return {}
    return together(first, stays(db, first), own=own)


def stays(db: sqlite3.Connection, probes: Collection[str]) -> list[Stay]:
    """Behind which prefixes these probes were, and when; a probe was behind its first one before, too, as far as
    anybody knows. Raises sqlite3.Error."""
    return [
        Stay(probe, home, since if before is not None else 0, END if until is None else until)
        for probe, home, since, until, before in db.execute(
            "SELECT probe, home, since, lead(since) OVER w, lag(since) OVER w FROM homes"
            " WHERE probe IN (SELECT value FROM json_each(?)) WINDOW w AS (PARTITION BY probe ORDER BY since)",
            (msgspec.json.encode(list(probes)).decode(),),
        )
    ]
