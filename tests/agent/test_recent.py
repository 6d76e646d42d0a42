"""The last findings: one for each target and measurement, the newest first, kept from one start to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.agent.recent import FILE, MOST, Recent
from probe.model.finding import Interference
from probe.model.home import MOST_FINDINGS
from tests.agent.conftest import make_finding


def test_a_newer_one_takes_the_place_of_the_former(tmp_path: Path) -> None:
    recent = Recent(tmp_path)
    recent.note(make_finding(1, target="a"))
    recent.note(make_finding(2, target="b"))
    recent.note(make_finding(3, "interfered", "a", interference=Interference("dns_injection")), "politics")
    first, second = recent.newest()
    assert (first.target, first.verdict, first.technique, first.category) == (
        "a", "interfered", "dns_injection", "politics",
    )  # fmt: skip
    assert (second.target, second.verdict, second.technique) == ("b", "clean", None)


def test_they_outlive_a_restart(tmp_path: Path) -> None:
    recent = Recent(tmp_path)
    recent.note(make_finding(1, target="a"))
    recent.note(make_finding(2, target="b"))
    recent.save()
    assert Recent(tmp_path).newest() == recent.newest()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'[{"measurement": "x"}]'])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert Recent(tmp_path).newest() == []


def test_interference_is_not_lost_among_what_is_fine(tmp_path: Path) -> None:
    recent = Recent(tmp_path)
    recent.note(make_finding(0, "interfered", "bad"))
    for number in range(1, MOST_FINDINGS + 10):
        recent.note(make_finding(number, target=f"t{number}"))
    newest = recent.newest()
    assert len(newest) == MOST_FINDINGS
    assert newest[-1].target == "bad"
    assert newest[0].target == f"t{MOST_FINDINGS + 9}"


def test_it_does_not_grow_without_end(tmp_path: Path) -> None:
    recent = Recent(tmp_path)
    for number in range(MOST + 20):
        recent.note(make_finding(number, target=f"t{number}"))
    recent.save()
    assert (tmp_path / FILE).stat().st_size < 400 * MOST
