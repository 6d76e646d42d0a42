#!/usr/bin/env python3
"""Looks through a finished image for what must never be in one; status 1 and a list if it finds any.

    check.py --out FOLDER IMAGE        FOLDER: where it was built

The build machine's package sources (hosts of its apt and pip, its build folder), secrets and identities that two probes
would share (host keys, machine id, passwords), programs that run as root for anyone beyond the known ones.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

PUBLIC = {"debian.org", "pypi.org", "files.pythonhosted.org", "localhost"}
"""What anybody may name; so may all of debian.org (apt itself names snapshot.debian.org)."""
SETUID = {"usr/bin/su", "usr/bin/sudo", "usr/bin/mount", "usr/bin/umount", "usr/bin/passwd", "usr/bin/chsh",
          "usr/bin/chfn", "usr/bin/newgrp", "usr/bin/gpasswd", "usr/lib/openssh/ssh-keysign",
          "usr/lib/dbus-1.0/dbus-daemon-launch-helper"}  # fmt: skip


def sources(out: Path) -> set[bytes]:
    """Host names that the build may have seen and the image may not name, and the build folder's own path."""
    lists = [path for folder in (Path("/etc/apt"), out / "apt") for path in folder.rglob("*.[ls][io][su]*")]
    texts = [path.read_text(errors="replace") for path in lists if path.is_file()]
    texts += [text for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "http_proxy", "https_proxy")
              if (text := os.environ.get(name))]  # fmt: skip
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(["/etc/pip.conf", Path("~/.config/pip/pip.conf").expanduser(), Path("~/.pip/pip.conf").expanduser()])
    texts += [value for section in settings.sections() for value in settings[section].values()]
    hosts = {urlsplit(url).hostname or "" for text in texts for url in re.findall(r"\b\w+://[^\s,;\"'\]]+", text)}
    hosts = {host for host in hosts if len(host) > 5 and host not in PUBLIC and not host.endswith(".debian.org")}
    return {host.encode() for host in hosts} | {str(out).encode()}


def partition(image: Path, number: int) -> tuple[int, int]:
    """Offset and length of a partition, in bytes (MBR)."""
    with image.open("rb") as file:
        entry = file.read(512)[446 + 16 * (number - 1):][:16]
    return int.from_bytes(entry[8:12], "little") * 512, int.from_bytes(entry[12:16], "little") * 512


def unpack(image: Path, folder: Path) -> tuple[Path, Path]:
    """The root of slot A and the boot partition, as folders."""
    offset, length = partition(image, 2)
    packed, root, card = folder / "root.sqfs", folder / "root", folder / "card"
    with image.open("rb") as file, packed.open("wb") as out:
        file.seek(offset)
        for start in range(0, length, 1 << 20):
            out.write(file.read(min(1 << 20, length - start)))
    # Devices and owners can't be made without being root; neither matters here.
    subprocess.run(["unsquashfs", "-q", "-n", "-no-xattrs", "-ig", "-d", root, packed], check=True, capture_output=True)
    packed.unlink()
    card.mkdir()
    where = f"{image}@@{partition(image, 1)[0]}"
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    subprocess.run(["mcopy", "-s", "-n", "-i", where, "::*", card], check=True, env=environment)
    return root, card


def traces(folder: Path, wanted: set[bytes]) -> Iterator[str]:
    """Files that hold one of the strings (in whatever letters), or whose name or link does."""
    strings = sorted(one.lower() for one in wanted)

    def first(data: bytes) -> str:
        # Several times as fast as a pattern that knows both kinds of letters, over a third of a gigabyte.
        lower = data.lower()
        return next((one.decode(errors="replace") for one in strings if one in lower), "")

    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        link = str(path.readlink()) if path.is_symlink() else ""
        if first(f"{name} {link}".encode()):
            yield f"{name}: its name"
        if path.is_file() and not path.is_symlink() and (found := first(path.read_bytes())):
            yield f"{name}: {found}"


def identities(root: Path) -> Iterator[str]:
    """What would be the same on two probes, or let somebody in."""
    for path in root.glob("etc/ssh/ssh_host_*"):
        yield f"{path.relative_to(root)}: a host key"
    if (root / "etc/machine-id").read_text().strip():
        yield "etc/machine-id is not empty"
    for line in (root / "etc/shadow").read_text().splitlines():
        name, password, *_ = line.split(":")
        if not password.startswith(("*", "!")):
            yield f"etc/shadow: {name} has a password"
    if any((root / "etc/systemd/system").glob("*.target.wants/ssh*")):
        yield "ssh starts by itself"


def privileged(root: Path) -> Iterator[str]:
    """Programs with the set-user-id bit beyond the known ones."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & stat.S_ISUID and name not in SETUID:
            yield f"{name}: set-user-id"


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("image", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.out) as work:
        root, card = unpack(given.image, Path(work))
        wanted = sources(given.out.resolve())
        found = [*traces(root, wanted), *traces(card, wanted), *identities(root), *privileged(root)]
    for one in found:
        print(f"image: must not be there: {one}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
