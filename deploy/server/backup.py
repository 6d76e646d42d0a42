#!/usr/bin/env python3
"""Saves a server and brings it back: findings and incidents, the authority and its register, keys, configuration.

    sudo deploy/server/backup.py backup FILE.tar.gz      while everything runs
    sudo deploy/server/backup.py restore FILE.tar.gz     on a server made by install.sh; --replace: over what is there
    sudo deploy/server/backup.py check FILE.tar.gz       whether every byte of it is as it was saved

Databases are copied by SQLite's own online backup, so what was committed is in it and nothing half written. The file
holds the key that makes probes: whoever reads it can be any probe. Its mode is 0600; encrypt it before it leaves.
"""

from __future__ import annotations

import argparse
import grp
import hashlib
import io
import json
import os
import pwd
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

STATE = Path("var/lib/colibri-collector")
SAVED = (STATE, Path("etc/colibri"), Path("etc/mosquitto"), Path("etc/caddy/Caddyfile"))
"""What is saved, below the root; of Mosquitto's folder only what is ours."""
MANIFEST = "MANIFEST.json"
UNITS = ("colibri-collector.service", "colibri-enrol.service", "mosquitto-public.service", "mosquitto.service")
_SQLITE = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")


class BackupError(Exception):
    """It could not be saved or brought back; nothing was changed, unless it says so."""


def files(root: Path) -> Iterator[Path]:
    """Every file to save, relative to the root, in order; a link counts as what it is."""
    for top in SAVED:
        found = [root / top] if (root / top).is_file() else sorted((root / top).rglob("*"))
        for path in found:
            relative = path.relative_to(root)
            ours = not relative.is_relative_to("etc/mosquitto") or path.name.startswith("colibri")
            beside = path.name.endswith(_BESIDE) and is_database(path.with_name(path.name.rpartition("-")[0]))
            if ours and not beside and (path.is_symlink() or path.is_file()):
                yield relative


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def snapshot(path: Path) -> bytes:
    """A database as it is at one moment, though others write to it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=60)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target, pages=4096, sleep=0.01)
            target.execute("PRAGMA journal_mode=DELETE")
        return copy.read_bytes()


def backup(root: Path, archive: Path) -> int:
    """Save everything into ``archive``, which must not be there; how many files. Raises BackupError, OSError."""
    listed = list(files(root))
    if not any(path.is_relative_to(STATE) for path in listed):
        raise BackupError(f"{root / STATE}: there is nothing to save")
    temporary = archive.with_name(archive.name + ".new")
    hashes: dict[str, str] = {}
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            for relative in listed:
                path = root / relative
                member = tar.gettarinfo(path, str(relative))
                if member.issym():
                    tar.addfile(member)
                    continue
                data = snapshot(path) if is_database(path) else path.read_bytes()
                hashes[str(relative)] = hashlib.sha256(data).hexdigest()
                add(tar, member, data)
            manifest = json.dumps({"schema": "colibri.backup/1", "sha256": hashes}, indent=1).encode()
            add(tar, tarfile.TarInfo(MANIFEST), manifest)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(archive)
    return len(listed)


def add(tar: tarfile.TarFile, member: tarfile.TarInfo, data: bytes) -> None:
    """One file of the archive."""
    member.size, member.type = len(data), tarfile.REGTYPE
    tar.addfile(member, io.BytesIO(data))


def check(archive: Path) -> list[tarfile.TarInfo]:
    """The members of an archive that is whole. Raises BackupError for one that is not."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            hashes: dict[str, str] = {}
            for member in members:
                opened = tar.extractfile(member) if member.isreg() else None
                if opened is not None:
                    hashes[member.name] = hashlib.sha256(opened.read()).hexdigest()
            read = tar.extractfile(MANIFEST)
            told = json.loads(read.read())["sha256"] if read else {}
    except (tarfile.TarError, OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise BackupError(f"{archive}: is not a whole backup: {error}") from None
    hashes.pop(MANIFEST, None)
    wrong = sorted(name for name in told.keys() | hashes.keys() if told.get(name) != hashes.get(name))
    wrong += [member.name for member in members if not _may_stand(member)]
    if wrong or not told:
        raise BackupError(f"{archive}: is not as it was saved: {', '.join(wrong) or 'it is empty'}")
    return [member for member in members if member.name != MANIFEST]


def _may_stand(member: tarfile.TarInfo) -> bool:
    """Only files, and links within their own folder, below what is saved."""
    if member.name == MANIFEST:
        return member.isreg()
    inside = ".." not in Path(member.name).parts and any(Path(member.name).is_relative_to(top) for top in SAVED)
    return inside and (member.isreg() or (member.issym() and "/" not in member.linkname))


def restore(root: Path, archive: Path, replace: bool) -> int:
    """Bring everything back, whole or not at all; how many files. Raises BackupError, OSError.

    Files of the archive take the place of those that are there; others are left. With ``replace`` findings may be
    written over.
    """
    members = check(archive)
    there = [member.name for member in members if is_database(root / member.name)]
    if there and not replace:
        raise BackupError(f"{root / there[0]} is there already; --replace writes over it")
    with tarfile.open(archive, "r:gz") as tar:
        for member in members:  # all are written beside their places first, so that a full disk changes nothing
            put(tar, member, root / f"{member.name}.restored")
    for member in members:
        target = root / member.name
        for suffix in _BESIDE:
            target.with_name(target.name + suffix).unlink(missing_ok=True)  # of the database that was there
        target.with_name(target.name + ".restored").replace(target)
    return len(members)


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write one member at ``path``, with its mode, and its owner where there is such a user and we may."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
    else:
        read = tar.extractfile(member)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(read.read() if read else b"")
            os.fchmod(descriptor, member.mode & 0o777)
            file.flush()
            os.fsync(descriptor)
    if os.geteuid() == 0:
        try:
            owner, group = pwd.getpwnam(member.uname).pw_uid, grp.getgrnam(member.gname).gr_gid
        except KeyError:
            return
        os.chown(path, owner, group, follow_symlinks=False)


def main(arguments: list[str]) -> int:
    """The exit status: 0 done, 1 could not, 2 wrong usage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "A server's backup.").splitlines()[0])
    parser.add_argument("action", choices=["backup", "restore", "check"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--root", type=Path, default=Path("/"), help="another root (services are left alone)")
    parser.add_argument("--replace", action="store_true", help="restore: over the findings that are there")
    args = parser.parse_args(arguments)
    services = args.action == "restore" and args.root == Path("/")
    try:
        if args.action == "backup":
            print(f"{args.file}: {backup(args.root, args.file)} files; keep it secret")
        elif args.action == "check":
            print(f"{args.file}: {len(check(args.file))} files, all as they were saved")
        else:
            check(args.file)
            if services:
                subprocess.run(["systemctl", "stop", *UNITS], check=True)
            print(f"{restore(args.root, args.file, args.replace)} files are back")
    except (BackupError, OSError, sqlite3.Error, subprocess.CalledProcessError) as error:
        print(f"backup: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    finally:
        if services:
            subprocess.run(["systemctl", "start", *reversed(UNITS)], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
