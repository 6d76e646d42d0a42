"""Many rows into an SQLite table with few statements.

``executemany`` runs a statement for every row, and lets go of the interpreter and takes it back for each: beside
threads that compute, each row waits for their turn. One statement for hundreds of rows lets go of it once, for as long
as all of them take.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Sequence
from itertools import chain

MOST_VALUES = 32_766
"""Most values of a statement (SQLITE_MAX_VARIABLE_NUMBER since SQLite 3.32)."""
MOST_ROWS = 256
"""Most rows of a statement: a compiled one takes some 400 bytes for each of their values."""


def insert(db: sqlite3.Connection, into: str, rows: Sequence[Sequence[object]], tail: str = "") -> None:
    """Insert ``rows``, which are alike in length, in their order: ``INSERT into VALUES … tail``, with ``tail`` an ON
    CONFLICT clause. Raises sqlite3.Error."""
    at = 0
    while at < len(rows):
        count = portion(len(rows) - at, len(rows[at]))
        some = rows[at : at + count]
        db.execute(_statement(into, len(some[0]), count, tail), list(chain.from_iterable(some)))
        at += count


def portion(rows: int, columns: int) -> int:
    """How many of so many rows the next statement takes: a power of two, so that there are few statements to compile
    and keep."""
    return 1 << (min(rows, MOST_ROWS, max(1, MOST_VALUES // columns)).bit_length() - 1)


@functools.cache
def _statement(into: str, columns: int, rows: int, tail: str) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"INSERT {into} VALUES {', '.join([row] * rows)} {tail}"  # noqa: S608 - of the callers' own words


__all__ = ["MOST_ROWS", "MOST_VALUES", "insert", "portion"]
