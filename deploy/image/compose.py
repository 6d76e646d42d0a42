#!/usr/bin/env python3
"""One tar of the whole root from Debian's base and folders of our own: sorted, dated, owned by root, always the same.

    compose.py --epoch SECONDS --layer FOLDER… BASE.tar >root.tar

No root is needed, since files are never unpacked with their owners. A later layer replaces files of an earlier one.
"""

from __future__ import annotations

import argparse
import io
import stat
import sys
import tarfile
from fnmatch import fnmatchcase
from pathlib import Path

LEFT_OUT = (
    "boot/*", "dev/*", "proc/*", "run/*", "sys/*", "tmp/*", "var/cache/*", "var/lib/apt/*", "var/log/*", "var/tmp/*",
    "etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/resolv.conf",
    "etc/hostname", "etc/systemd/system/multi-user.target.wants/ssh.service", "etc/systemd/system/sshd.service",
    "etc/systemd/system/ssh.socket", "etc/systemd/system/sockets.target.wants/ssh.socket",
    "etc/systemd/system/multi-user.target.wants/wpa_supplicant.service",
    "etc/update-motd.d/*", "usr/share/lintian/*", "usr/share/bash-completion/*", "usr/share/zoneinfo/right/*",
    "usr/lib/python3*/__pycache__/*", "usr/lib/python3*/*/__pycache__/*", "usr/lib/python3*/test/*",
    "usr/lib/python3.13/ensurepip/*", "usr/lib/python3.13/idlelib/*", "usr/lib/python3.13/pydoc_data/*",
    "usr/lib/udev/hwdb.bin", "usr/lib/udev/hwdb.d/*", "usr/lib/*/gconv/*.so",
)  # fmt: skip
"""Of the base: the machine's own, what is made anew, what nobody reads on a probe. (Byte code is compiled in one way,
by build.sh. Names of all PCI and USB vendors, and character sets: 42 MB.)"""
KEPT = ("usr/lib/*/gconv/IBM850.so", "usr/lib/*/gconv/UTF-16.so", "usr/lib/*/gconv/UTF-32.so")
"""Of what is left out by its folder. (The names on a FAT are in IBM's code page 850.)"""

Member = tuple[tarfile.TarInfo, Path | None]
"""Header, and the file of a layer that holds the content; None: the base does."""


def left_out(name: str) -> bool:
    """Whether a path of the base stays behind. Folders themselves stay, as places to mount on."""
    wanted = any(fnmatchcase(name, pattern) for pattern in KEPT)
    return not wanted and any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)


def of_base(base: tarfile.TarFile) -> dict[str, Member]:
    """Path → member, of Debian's part, with its owners, modes and dates."""
    found: dict[str, Member] = {}
    for member in base:
        name = member.name.removeprefix("./").strip("/")
        if name not in ("", ".") and not left_out(name):
            found[name] = (member, None)
    return found


def of_layer(folder: Path, epoch: int) -> dict[str, Member]:
    """Path → member, of one of our folders: owned by root, dated ``epoch``, modes 755, 644, or 600 where it was."""
    found: dict[str, Member] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        info = tarfile.TarInfo(name)
        info.mtime = epoch
        mode = path.lstat().st_mode
        if path.is_symlink():
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        elif path.is_dir():
            info.type, info.mode = tarfile.DIRTYPE, 0o755
        else:
            info.size, info.mode = path.stat().st_size, 0o755 if mode & stat.S_IXUSR else 0o644
        found[name] = (info, path if info.isreg() else None)
    return found


def merge(base: dict[str, Member], layers: list[dict[str, Member]]) -> dict[str, Member]:
    """All of it; a folder that the base has keeps the base's owner and mode (``/tmp`` is everybody's)."""
    merged = dict(base)
    for layer in layers:
        for name, member in layer.items():
            if not (member[0].isdir() and name in merged and merged[name][0].isdir()):
                merged[name] = member
    return merged


def write(members: dict[str, Member], base: tarfile.TarFile, out: tarfile.TarFile, epoch: int) -> None:
    """Write them in order of their names. Raises KeyError where a hard link's other end was replaced or left out."""
    for name in sorted(members):
        info, path = members[name]
        content: io.BufferedIOBase | None = None
        if path is not None:
            content = path.open("rb")
        elif info.isreg():
            content = base.extractfile(info)  # type: ignore[assignment]  # IO[bytes], and buffered
        elif info.islnk():
            # The other end may be sorted behind it: a copy is the simple truth, and squashfs stores it once.
            target, _ = members[info.linkname.removeprefix("./")]
            content = base.extractfile(target)  # type: ignore[assignment]
            info.type, info.size, info.linkname = tarfile.REGTYPE, target.size, ""
        info.name = name
        info.mtime = min(int(info.mtime), epoch)
        info.uname = info.gname = ""
        info.pax_headers = {key: text for key, text in info.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        out.addfile(info, content)
        if content is not None:
            content.close()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--layer", type=Path, action="append", default=[])
    parser.add_argument("base", type=Path)
    given = parser.parse_args()
    with (
        tarfile.open(given.base) as base,
        tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as out,
    ):
        members = merge(of_base(base), [of_layer(layer, given.epoch) for layer in given.layer])
        write(members, base, out, given.epoch)


if __name__ == "__main__":
    main()
