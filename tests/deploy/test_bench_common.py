"""deploy/bench_common.py: where a section goes, and what counts as memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scripts import load

COMMON = load("bench_common")


def test_a_section_goes_between_its_marks(tmp_path: Path) -> None:
    page, (begin, end) = tmp_path / "page.md", COMMON.marks("one")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    COMMON.write(page, "one", "new")
    COMMON.write(page, "one", "newer")
    assert page.read_text() == f"before\n{begin}\n\nnewer\n\n{end}\nafter\n"
    for other in (page.read_text().replace("one: end", "two: end"), "no marks"):
        page.write_text(other)
        with pytest.raises(ValueError, match="lacks the marks <!-- one: begin --> and <!-- one: end -->"):
            COMMON.write(page, "one", "new")
        assert page.read_text() == other


def test_memory_grows_by_what_is_taken() -> None:
    before = COMMON.resident_mb()
    ballast = os.urandom(50_000_000)
    assert 45 < COMMON.resident_mb() - before < 55
    assert ballast
