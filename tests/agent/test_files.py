"""A file is the old one or the new one, with the mode it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.agent.files import write_whole


def test_it_writes_replaces_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    write_whole(path, b"one", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["b"]


def test_what_a_power_cut_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "x.new").write_bytes(b"half")
    write_whole(tmp_path / "x", b"whole", mode=0o600)
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_failure_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_whole(path, b"old")

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
