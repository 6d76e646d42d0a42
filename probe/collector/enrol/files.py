"""Files of the authority: whole or not at all, with the right mode from the first moment on, and the folder's owner."""

from __future__ import annotations

import os
from pathlib import Path

SECRET, PUBLIC = 0o600, 0o644


def own_folder(path: Path) -> Path:
    """The folder, made for its owner and for those who pass through to the public files. Raises OSError."""
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    return path


def write(path: Path, data: bytes, mode: int) -> None:
    """Write a file. Done as root, it belongs to the folder's owner: the service has to read it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)  # whatever the umask says
        keep_owner(draft)
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def keep_owner(path: Path) -> None:
    """Give a file that root has made to the owner of its folder. Raises OSError."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
