"""The embedded store's roll-ups of how everybody fared: by days, as findings come, and later by rows of days.

A year of days is too many rows for a page. What is older than :data:`QUIET` is added up in blocks of days as well, a
few at a time; a finding that comes late takes the word from the blocks that its day is in, until they are added up
anew. So a finding costs no more than its day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from probe.collector.instants import DAY

BLOCKS = (64, 16, 4)
"""Days that a block holds, the largest first; each number divides the one before it."""
QUIET = 2 * DAY
"""A block is added up when its end is as old (ms): till then it would change with every batch."""
AT_ONCE = 4
"""Blocks that are added up in one go, some tens of milliseconds each."""

Block = tuple[int, int]
"""(days, beginning in ms)."""

DAYS = "SELECT (SELECT min(day) FROM fared), (SELECT max(day) FROM fared)"
"""The first and the last day of which there is anything; NULL: there is nothing."""
DONE = "SELECT days, start FROM fared_done WHERE start >= ? AND start < ?"
"""The blocks that hold, of an interval (ms)."""
HOURS = (
    "SELECT f.series, f.probe, f.seen, f.bad FROM json_each(?1) b"
    " CROSS JOIN fared_blocks f ON f.days = b.value ->> 0 AND f.start = b.value ->> 1"
    " UNION ALL SELECT f.series, f.probe, f.seen_hours, f.bad_hours FROM json_each(?2) d"
    " CROSS JOIN fared f ON f.day = d.value"
)
"""(series, probe, hours seen, of these bad) of blocks (?1) and of single days (?2), both as JSON."""


def touch(db: sqlite3.Connection, days: Iterable[int]) -> None:
    """Findings came of these days (their beginnings, ms). Raises sqlite3.Error."""
    db.executemany(
        "DELETE FROM fared_done WHERE days = ? AND start = ?",
        {(size, _begins(day, size)) for day in days for size in BLOCKS},
    )


def tidy(db: sqlite3.Connection, now: int) -> bool:
    """Add up some blocks, within the caller's transaction; True if there are more to be. ``now`` in ms. Raises
    sqlite3.Error."""
    first, last = db.execute(DAYS).fetchone()
    if first is None:
        return False
    done = set(db.execute("SELECT days, start FROM fared_done"))
    due = [
        (size, start) for size in BLOCKS for start in range(_begins(first, size), last + 1, size * DAY)
        if (size, start) not in done and start + size * DAY + QUIET <= now
    ]  # fmt: skip
    for size, start in due[:AT_ONCE]:
        db.execute("DELETE FROM fared_blocks WHERE days = ? AND start = ?", (size, start))
        db.execute(
            "INSERT INTO fared_blocks SELECT ?1, ?2, series, probe, sum(seen_hours), sum(bad_hours) FROM fared"
            " WHERE day >= ?2 AND day < ?2 + ?3 GROUP BY series, probe",
            (size, start, size * DAY),
        )
        db.execute("INSERT INTO fared_done VALUES (?, ?)", (size, start))
    return len(due) > AT_ONCE


def cover(first: int, last: int, done: Collection[Block]) -> tuple[list[Block], list[int]]:
    """The fewest blocks and single days (their beginnings) that are the days from ``first`` up to ``last`` (ms)."""
    blocks, days = list[Block](), list[int]()
    day = first
    while day < last:
        size = next((
            size for size in BLOCKS
            if (size, day) in done and day == _begins(day, size) and day + size * DAY <= last
        ), 0)  # fmt: skip
        if size:
            blocks.append((size, day))
        else:
            days.append(day)
        day += max(size, 1) * DAY
    return blocks, days


def _begins(day: int, size: int) -> int:
    """Of the block that a day is in."""
    return day // (size * DAY) * size * DAY
