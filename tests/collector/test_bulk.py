"""Many rows in few statements: the same table as row by row."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import bulk

TAIL = "ON CONFLICT (a) DO UPDATE SET b = b + excluded.b, c = max(c, excluded.c)"
Row = tuple[int, int, str]


def table() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER NOT NULL, c TEXT NOT NULL)")
    return db


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-9, 9), st.text(max_size=3)), max_size=600))
def test_the_same_as_one_after_the_other(rows: list[Row]) -> None:
    one, many = table(), table()
    one.executemany(f"INSERT INTO t VALUES (?, ?, ?) {TAIL}", rows)  # noqa: S608 - of this module
    bulk.insert(many, "INTO t", rows, TAIL)
    assert many.execute("SELECT * FROM t").fetchall() == one.execute("SELECT * FROM t").fetchall()
    one.close()
    many.close()


@given(st.integers(1, 3000), st.integers(1, 40_000))
def test_portions_are_few_and_no_more_than_sqlite_takes(rows: int, columns: int) -> None:
    taken = list[int]()
    while (left := rows - sum(taken)) > 0:
        taken.append(bulk.portion(left, columns))
    assert sum(taken) == rows
    assert all(count.bit_count() == 1 and (count == 1 or count * columns <= bulk.MOST_VALUES) for count in taken)
    assert taken == sorted(taken, reverse=True)
    assert len(set(taken)) <= bulk.MOST_ROWS.bit_length()


def test_columns_in_another_order_and_what_is_there_already() -> None:
    db = table()
    bulk.insert(db, "INTO t (c, b, a)", [("x", 2, 1), ("y", 3, 2)])
    bulk.insert(db, "OR IGNORE INTO t", [(1, 9, "z"), (3, 4, "w")])
    assert db.execute("SELECT * FROM t").fetchall() == [(1, 2, "x"), (2, 3, "y"), (3, 4, "w")]
    with pytest.raises(sqlite3.IntegrityError):
        bulk.insert(db, "INTO t", [(4, 1, ""), (1, 1, "")])
    assert db.execute("SELECT count(*) FROM t").fetchone() == (3,), "none of a statement that fails"
    db.close()
