"""Where things lie on the image."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import msgspec


class Places(msgspec.Struct, frozen=True):
    """The folders that the appliance reads and writes; a test gives it others."""

    card: Path = Path("/boot/firmware")
    data: Path = Path("/data")
    etc: Path = Path("/etc")
    run: Path = Path("/run/firstboot")
    release: Path = Path("/usr/lib/colibri")
    marks: Path = Path("/run/appliance")
    """What the initramfs left: ``trial`` while a slot is on trial, ``data-lost`` after the data had to be made anew."""

    @property
    def version(self) -> str:
        """The release that runs; empty where the file is missing."""
        try:
            return (self.release / "version").read_text().strip()
        except FileNotFoundError:
            return ""


def give(path: Path, user: str, mode: int) -> None:
    """Let a file or folder belong to a user's account and group; without that user (a test), the mode alone is set.

    What is someone else's already (at every start but the first) can't be given another mode by one who may only change
    owners (CAP_CHOWN, without CAP_FOWNER): it is taken back for that.
    """
    now = path.stat()
    if stat.S_IMODE(now.st_mode) != mode:
        if now.st_uid != os.geteuid():
            os.chown(path, os.geteuid(), -1)
        path.chmod(mode)
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return
    if (path.stat().st_uid, path.stat().st_gid) != (account.pw_uid, account.pw_gid):
        os.chown(path, account.pw_uid, account.pw_gid)


def publish(path: Path, text: str) -> None:
    """A file that everybody may read, whatever the umask: the services that need it are not root."""
    path.write_text(text)
    path.chmod(0o644)


def let_read(path: Path, user: str) -> None:
    """Root's file, readable by a user's group and nobody else."""
    path.chmod(0o640)
    try:
        os.chown(path, -1, pwd.getpwnam(user).pw_gid)
    except KeyError:
        return
