"""Instants inside the collector: whole milliseconds since the Unix epoch, UTC. On the feed they are RFC 3339 text."""

from __future__ import annotations

import time
from datetime import UTC, datetime

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

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
