"""Instants inside the collector: whole milliseconds since the Unix epoch, UTC. On the feed they are RFC 3339 text."""

from __future__ import annotations

import time
from datetime import UTC, datetime

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

VOUCHED = 10 * MINUTE
"""A clock that nobody keeps right, this close to the collector's own, is believed all the same."""
AHEAD = DAY
"""How far in the future a synchronised clock may be before it is called absurd."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """By this machine's clock."""
    return time.time_ns() // 1_000_000


def from_text(text: str) -> int:
    """RFC 3339 (``2026-11-22T14:05:00.123Z``) to milliseconds. Raises ValueError for a date that no calendar has."""
    span = datetime.fromisoformat(text) - _EPOCH
    return (span.days * 86400 + span.seconds) * SECOND + span.microseconds // 1000


def moment(at: int) -> datetime:
    """Milliseconds to an aware ``datetime`` in UTC."""
    return datetime.fromtimestamp(at / SECOND, UTC)


def to_text(at: int) -> str:
    """Milliseconds to RFC 3339 text with milliseconds."""
    return moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


EARLIEST = from_text("2010-01-01T00:00:00.000Z")
"""No probe is older: a synchronised clock that says so is none (a Pi without one wakes up in 1970)."""


def believed(said: int, ended: int, received_at: int, *, synchronised: bool) -> tuple[int | None, str]:
    """When something was, or None if nobody knows; and what is absurd about its date (all in ms).

    ``said``: when it was by the probe's clock, and when it was over; ``synchronised``: whether that was kept right.
    """
    if synchronised:
        if not EARLIEST <= said <= received_at + AHEAD:
            return None, f"a synchronised clock said {to_text(said)}"
        return said, ""
    return (said if abs(received_at - ended) <= VOUCHED else None), ""
