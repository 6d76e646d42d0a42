"""deploy/bench_spool.py: a small table, of a real spool."""

from __future__ import annotations

from pathlib import Path

from tests.scripts import load


def test_each_row_is_ten_times_the_one_before(tmp_path: Path) -> None:
    module = load("bench_spool")
    head, _, *rows = module.table(1000, tmp_path).splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["1", "10", "100", "1,000"]
    assert {len(row) for row in cells} == {head.count("|") - 1}
    assert cells[0][3] == "–"  # too few to remove
    assert all(float(cell.replace(",", "")) > 0 for cell in cells[3])
    left = 1000 + module.TRIES - module.TRIES * module.WINDOW
    assert module.Spool(tmp_path / "spool.sqlite3", module.ROOM).depth == left
