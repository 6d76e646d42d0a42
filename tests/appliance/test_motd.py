"""What is told at the login."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.motd import lines, parse_journal, written_bytes

STATUS: dict[str, Any] = {
    "line": {"operator": "Maroc X", "country": "MA", "access": "fixed"}, "link": {"up": True}, "stalled": [],
    "feed": {"host": "h", "connected": True, "trouble": ""}, "spool": {"depth": 2},
}  # fmt: skip


def test_line_health_findings_and_card() -> None:
    told = "\n".join(lines("0.1.7", STATUS, ["one", "two", "three", "four"], 1_500_000))
    assert "line      Maroc X, MA, fixed; up" in told
    assert "feed connected, 2 findings wait" in told
    assert "latest    four" in told
    assert "one" not in told.split()
    assert "1.5 MB written" in told


def test_a_daemon_that_does_not_run() -> None:
    told = "\n".join(lines("0.1.7", None, [], None))
    assert "the daemon does not run" in told
    assert "nothing measured" in told


def test_findings_are_picked_from_the_journal() -> None:
    entries = [{"MESSAGE": "running"}, {"MESSAGE": "dns_injection of x: clean", "COLIBRI_FINDING": "id"}]
    text = "\n".join(map(json.dumps, entries)) + "\nno json\n[]"
    assert parse_journal(text) == ["dns_injection of x: clean"]


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    assert isinstance(parse_journal(text), list)


def test_bytes_written_to_the_card(tmp_path: Path) -> None:
    assert written_bytes(tmp_path) is None
    (tmp_path / "mmcblk0").mkdir()
    (tmp_path / "mmcblk0/stat").write_text("  1 2 3 4 5 6 10 8 9 10 11\n")
    assert written_bytes(tmp_path) == 5120
