"""The local log: bounded, whole lines, and never in the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from probe.agent import asked
from probe.agent.asked import FILE, Asked, Entry, read


def test_what_is_noted_is_read_in_its_order(tmp_path: Path) -> None:
    log = Asked(tmp_path, lambda: 0.0)
    log.note("request", "refused", "measure", "its signature is not right", size=7)
    log.note("measurement", "done", "tcp_reset of x.example", "clean", "schedule")
    assert read(tmp_path) == [
        Entry("1970-01-01T00:00:00.000Z", "request", "refused", "measure", "its signature is not right", size=7),
        Entry("1970-01-01T00:00:00.000Z", "measurement", "done", "tcp_reset of x.example", "clean", "schedule"),
    ]
    assert read(tmp_path / "nothing") == []


def test_it_keeps_the_last_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "MOST", 2000)
    log = Asked(tmp_path)
    for number in range(200):
        log.note("request", "refused", str(number))
    kept = [int(entry.subject) for entry in read(tmp_path)]
    assert kept[-1] == 199
    assert kept == list(range(kept[0], 200))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5000


def test_long_texts_are_cut(tmp_path: Path) -> None:
    Asked(tmp_path).note("list", "refused", "x" * 10_000, "y" * 10_000, "z" * 10_000)
    assert (tmp_path / FILE).stat().st_size < 2000


def test_a_line_that_a_power_cut_broke_is_left_out(tmp_path: Path) -> None:
    log = Asked(tmp_path)
    log.note("list", "accepted", "one")
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at": "2026\n')
    log.note("list", "accepted", "two")
    assert [entry.subject for entry in read(tmp_path)] == ["one", "two"]


def test_a_disk_that_fails_is_told_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Asked(tmp_path / "no" / "such").note("list", "refused")
    assert "can't be written" in caplog.text
