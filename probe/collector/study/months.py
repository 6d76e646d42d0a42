"""Calendar months, UTC, as instants of the collector (ms)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from probe.model.errors import UsageError

_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_FIRST, _LAST = 2010, 2999  # no probe is older; a year that a calendar has


def bounds(month: str) -> tuple[int, int]:
    """The first instant of ``YYYY-MM`` and that of the month after it. Raises UsageError for anything else."""
    found = _MONTH.fullmatch(month)
    year, number = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (_FIRST <= year <= _LAST and 1 <= number <= 12):
        raise UsageError(f"--month: {month!r} is no month (YYYY-MM, from {_FIRST} on)")
    return _start(year, number), _start(year + number // 12, number % 12 + 1)


def before(month: str, count: int) -> list[str]:
    """So many months, oldest first, the given one last. Raises UsageError."""
    bounds(month)
    index = int(month[:4]) * 12 + int(month[5:]) - 1
    return [f"{one // 12:04}-{one % 12 + 1:02}" for one in range(index - count + 1, index + 1) if one >= _FIRST * 12]


def _start(year: int, number: int) -> int:
    return int(datetime(year, number, 1, tzinfo=UTC).timestamp()) * 1000
