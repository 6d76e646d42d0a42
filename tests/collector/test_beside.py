"""A second hand in the database: it takes turns, and all of a change or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from probe.collector.beside import Beside
from probe.collector.schema import open_reader, open_writer
from probe.model.errors import StoreError


class Notes(Beside):
    trouble = "notes can't be kept"

    def put(self, value: int, *more: str) -> None:
        with self._writing() as db:
            db.execute("INSERT INTO counters VALUES ('note', ?)", (value,))
            for statement in more:
                db.execute(statement)

    def get(self) -> list[int]:
        with self._reading() as db:
            return [value for (value,) in db.execute("SELECT value FROM counters")]


def test_it_writes_beside_the_store_and_others_see_it(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sqlite3")
    with closing(open_writer(path)), closing(Notes(path)) as notes, closing(open_reader(path)) as reader:
        notes.put(7)
        assert notes.get() == [7]
        assert reader.execute("SELECT value FROM counters").fetchall() == [(7,)]


def test_a_change_that_fails_is_undone_and_told_in_its_own_words(tmp_path: Path) -> None:
    with closing(Notes(str(tmp_path / "x.sqlite3"))) as notes:
        with pytest.raises(StoreError, match="notes can't be kept: no such table: nowhere") as raised:
            notes.put(7, "DELETE FROM nowhere")
        assert isinstance(raised.value.__cause__, sqlite3.Error)
        assert notes.get() == []
        notes.put(8)
        assert notes.get() == [8]
