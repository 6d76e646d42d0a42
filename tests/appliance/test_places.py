"""Where things lie, and whose they are."""

from __future__ import annotations

import getpass
from pathlib import Path

from probe.appliance.places import Places, give, let_read


def test_the_version_is_that_of_the_release(tmp_path: Path) -> None:
    places = Places(release=tmp_path)
    assert places.version == ""
    (tmp_path / "version").write_text("0.1.7\n")
    assert places.version == "0.1.7"


def test_modes_are_set_and_unknown_users_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    for user in (getpass.getuser(), "nobody-of-that-name"):
        give(path, user, 0o600)
        assert path.stat().st_mode & 0o777 == 0o600
        let_read(path, user)
        assert path.stat().st_mode & 0o777 == 0o640
