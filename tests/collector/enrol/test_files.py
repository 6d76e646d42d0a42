"""The authority's files: the mode holds from the first moment on, and nothing is ever half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probe.collector.enrol.files import PUBLIC, SECRET, keep_owner, own_folder, write


@pytest.mark.parametrize(("mode", "shown"), [(SECRET, 0o600), (PUBLIC, 0o644)])
def test_the_mode_is_right_whatever_the_umask(tmp_path: Path, mode: int, shown: int) -> None:
    before = os.umask(0o277)
    try:
        write(tmp_path / "file", b"content", mode)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == shown
    assert (tmp_path / "file").read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_draft_that_a_power_cut_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_bytes(b"half")
    write(tmp_path / "file", b"whole", SECRET)
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_strangers_pass_through_the_folder_and_can_not_list_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert own_folder(tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o711
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_the_folder_s_owner(tmp_path: Path) -> None:
    try:
        os.chown(tmp_path, 12345, 12345)
    except OSError:
        pytest.skip("this namespace has no such user")
    write(tmp_path / "file", b"x", SECRET)
    assert (tmp_path / "file").stat().st_uid == 12345
    (tmp_path / "other").touch()
    keep_owner(tmp_path / "other")
    assert (tmp_path / "other").stat().st_gid == 12345
