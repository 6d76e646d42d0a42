"""deploy/bench_engine.py: what counts, what a row says, where the tables go. (The lab itself: `make bench-quick`.)"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import DEPLOY, load

SCAMPER = """traceroute from 198.18.1.100 to 198.19.1.1
 1  198.18.1.101  0.069 ms
 2  *
 3  203.0.113.3  0.033 ms
"""
NMAP = (
    "Host: 198.19.100.0 ()\tPorts: 80/open/tcp//http///, 443/open/tcp//https///, 8080/closed/tcp//x///, "
    "8443/filtered/tcp//y///\n"
    "Host: 198.19.200.3 ()\tPorts: 80/filtered/tcp//http///, 443/filtered/tcp//https///, 8080/filtered/tcp//x///, "
    "8443/filtered/tcp//y///\tIgnored State: none (0)\n"
)


@pytest.fixture
def bench() -> ModuleType:
    return load("bench_engine")


def test_an_incomplete_run_does_not_count(bench: ModuleType) -> None:
    row = bench.Row("sweep", "scamper", "cpu", 0.5)
    row.pairs = [(bench.Run(1, 0.04, 3000, 3000), bench.Run(1, 0.1, 2998, 3000)),
                 (bench.Run(1, 0.01, 2000, 3000), bench.Run(1, 0.1, 3000, 3000)),
                 (bench.Run(1, 0.05, 3000, 3000), bench.Run(1, 0.1, 2900, 3000))]  # fmt: skip
    assert row.shares() == [pytest.approx(0.4)]
    assert "0.4 (0.4 – 0.4)" in row.table()
    assert row.table().endswith("| ≤ 0.5 | yes |")
    assert "2,000/3,000" in row.table()  # the worst


def test_a_bar_that_is_missed_is_told_by_how_much(bench: ModuleType) -> None:
    row = bench.Row("one pass", "", "wall", 0.1, [(bench.Run(0.2, 0, 1, 1), None), (bench.Run(0.3, 0, 1, 1), None)])
    assert row.table().endswith("| 0.25 s (0.2 – 0.3) | ≤ 0.1 s | **no**, 2.50 times |")
    none = bench.Row("x", "y", "cpu", 1.0, [(bench.Run(1, 1, 0, 1), None)])
    assert none.table().endswith("**no**: no complete pair |")


def test_what_peers_print_is_counted(bench: ModuleType) -> None:
    assert bench._count_hops(SCAMPER) == 2
    assert bench._count_completed("  Queries sent: 9\n  Queries completed:    7 (70.00%)\n") == 7
    assert bench._count_completed("") == 0
    assert bench._count_cells(NMAP, {"198.19.100.0": True, "198.19.200.3": False}) == 3 + 4


def test_the_page_has_the_marks(bench: ModuleType, tmp_path: Path) -> None:
    text = (DEPLOY.parent / "docs/benchmarks.md").read_text()
    begin, end = load("bench_common").marks(bench.SECTION)
    assert text.index(begin) < text.index(end)
    (tmp_path / "page.md").write_text(text)
    bench.write(tmp_path / "page.md", bench.SECTION, "new")
    assert f"{begin}\n\nnew\n\n{end}" in (tmp_path / "page.md").read_text()


def test_without_the_peers_it_says_how_to_get_them(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.shutil, "which", lambda tool: None if tool == "scamper" else tool)
    monkeypatch.setattr(sys, "argv", ["bench_engine.py", "--quick"])
    assert bench.main() == 1
    assert "missing: scamper (deploy/install.sh bench installs them)" in capsys.readouterr().err


def test_the_labs_targets_are_in_it(bench: ModuleType) -> None:
    lab = bench.bench_lab
    assert len(set(lab.targets(10_000))) == 10_000
    cells = lab.matrix()
    assert len(cells) == 256
    assert sum(cells.values()) == 192
    home = lab.topology()
    assert home.distance("home", "server") == lab.HOPS
