"""The store's part of heartbeats: what each probe proved in each hour, and one signed heartbeat of it to show."""

from __future__ import annotations

import sqlite3

from probe.collector import instants
from probe.collector.heartbeats import Life, life
from probe.collector.verdicts import NewHeartbeat

BODIES = 90 * instants.DAY
"""How long the signed heartbeat of an hour is kept, some 450 bytes; what it proved is kept for ever, some 40."""
NEAR = 7 * instants.DAY
"""Who measured a series within this time of a silence is asked what it was."""

LIVES = (
    "SELECT hour, alive, prompt, busy, linked FROM life WHERE hour BETWEEN ?2 AND ?3 AND probe IN"
    " (SELECT probe FROM hourly h JOIN series s ON s.id = h.series WHERE s.country = ?4 AND s.operator = ?5"
    " AND s.access = ?6 AND s.measurement = ?7 AND s.target = ?8 AND h.hour BETWEEN ?2 - ?1 AND ?3 + ?1)"
)
"""What probes of a series proved in an interval: NEAR, since, until (ms), and what makes a series."""
BODIES_OF = "SELECT body FROM life WHERE probe = ? AND hour BETWEEN ? AND ? AND body <> '' ORDER BY hour"
"""Signed heartbeats of a probe in an interval (ms), one an hour."""


def put(db: sqlite3.Connection, new: NewHeartbeat, received_at: int) -> bool:
    """Take one into account; False if nobody knows when it was made: then it proves nothing. Raises sqlite3.Error."""
    if new.at is None:
        return False
    one = new.heartbeat
    hour, proven = life(one, new.at, received_at)
    db.execute(
        "INSERT INTO life VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (probe, hour) DO UPDATE SET"
        " alive = alive | excluded.alive, prompt = prompt | excluded.prompt, busy = busy | excluded.busy,"
        " linked = linked | excluded.linked, body = CASE WHEN excluded.first < first THEN excluded.body ELSE body END,"
        " first = min(first, excluded.first)",
        (one.probe, hour, proven.alive, proven.prompt, proven.busy, proven.linked, one.id, new.body),
    )
    return True


def sweep(db: sqlite3.Connection, now: int, kept: int | None, most: int) -> bool:
    """Let go of signed heartbeats older than BODIES, and, where ``kept`` (ms) says so, of hours older than that;
    ``most`` of each at a time. True if there is more of it. ``now`` in ms. Raises sqlite3.Error."""
    more = db.execute(
        "UPDATE life SET body = '' WHERE (probe, hour) IN"
        " (SELECT probe, hour FROM life WHERE body <> '' AND hour < ? LIMIT ?)", (now - BODIES, most),
    ).rowcount == most  # fmt: skip
    if kept is not None:
        more |= db.execute(
            "DELETE FROM life WHERE (probe, hour) IN (SELECT l.probe, l.hour FROM probes p"
            " CROSS JOIN life l ON l.probe = p.id AND l.hour < ? LIMIT ?)", (now - kept, most),
        ).rowcount == most  # fmt: skip
    return more


def by_hour(rows: list[tuple[int, int, int, int, int]]) -> dict[int, list[Life]]:
    """Rows of :data:`LIVES` by their hour."""
    found: dict[int, list[Life]] = {}
    for hour, *sets in rows:
        found.setdefault(hour, []).append(Life(*sets))
    return found
