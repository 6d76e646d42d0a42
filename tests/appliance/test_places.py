"""Where things lie, and whose they are."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path

import pytest

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


def test_what_belongs_to_its_user_already_keeps_its_mode_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the second start folders are the daemon's; without CAP_FOWNER root may not even ask for the same mode."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    folder.chmod(0o750)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    give(folder, "nobody-of-that-name", 0o750)
    with pytest.raises(PermissionError):
        give(folder, "nobody-of-that-name", 0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_what_belongs_to_somebody_else_is_taken_back_for_another_mode(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    give(folder, "nobody", 0o750)
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o750, nobody.pw_uid)
