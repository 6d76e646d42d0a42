"""The register: codes that were handed out, probes, and every certificate that one of them was given (SQLite)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from probe.collector.enrol.authority import Issued
from probe.collector.enrol.files import SECRET, keep_owner, own_folder
from probe.model.errors import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS probe (
  name TEXT PRIMARY KEY, label TEXT NOT NULL, enrolled INTEGER NOT NULL, revoked INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS code (
  digest BLOB PRIMARY KEY, label TEXT NOT NULL, made INTEGER NOT NULL, expires INTEGER NOT NULL,
  probe TEXT REFERENCES probe, key BLOB) STRICT;
CREATE TABLE IF NOT EXISTS certificate (
  serial TEXT PRIMARY KEY, probe TEXT NOT NULL REFERENCES probe, key BLOB NOT NULL, begins INTEGER NOT NULL,
  ends INTEGER NOT NULL, pem TEXT NOT NULL, follows TEXT) STRICT;
CREATE TABLE IF NOT EXISTS cut (probe TEXT PRIMARY KEY REFERENCES probe, ends INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS certificate_of ON certificate (probe);
"""


class Code(msgspec.Struct, frozen=True):
    """A code's row. ``probe``, ``key``: who used it (a name, the public key's bytes), or None."""

    label: str
    expires: int
    probe: str | None
    key: bytes | None


class Row(msgspec.Struct, frozen=True):
    """A probe, with the end of its newest certificate. Times: milliseconds since the epoch; None: never."""

    name: str
    label: str
    enrolled: int
    revoked: int | None
    ends: int
    certificates: int


class Register:
    """The file ``registry.sqlite3`` of a folder. What is written is on the disk when :meth:`writing` is left.

    Raises StoreError where it can't be opened, read or written.
    """

    def __init__(self, folder: Path) -> None:
        path = own_folder(folder) / "registry.sqlite3"
        try:
            if not path.exists():
                path.touch(mode=SECRET)
                keep_owner(path)
            # The desk answers in threads, one at a time.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is done inside is done, or nothing of it; nobody else writes meanwhile."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"the register: {error}") from None

    def add_code(self, digest: bytes, label: str, made: int, expires: int) -> None:
        """Hand out a code; those that have long expired unused are forgotten."""
        with self.writing():
            self._db.execute("DELETE FROM code WHERE probe IS NULL AND expires < ?", (made,))
            self._db.execute("INSERT INTO code VALUES (?, ?, ?, ?, NULL, NULL)", (digest, label, made, expires))

    def code(self, digest: bytes) -> Code | None:
        """A code by its digest."""
        row = self._db.execute("SELECT label, expires, probe, key FROM code WHERE digest = ?", (digest,)).fetchone()
        return Code(*row) if row else None

    def use_code(self, digest: bytes, name: str, key: bytes) -> None:
        """Note who used a code."""
        self._db.execute("UPDATE code SET probe = ?, key = ? WHERE digest = ?", (name, key, digest))

    def add_probe(self, name: str, label: str, now: int) -> None:
        """A new probe."""
        self._db.execute("INSERT INTO probe VALUES (?, ?, ?, NULL)", (name, label, now))

    def add_certificate(self, name: str, key: bytes, issued: Issued, follows: str = "") -> None:
        """A certificate of a probe. ``follows``: serial of the one that it was renewed with."""
        row = (issued.serial, name, key, issued.begins, issued.ends, issued.pem, follows)
        self._db.execute("INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def certificate(self, name: str, key: bytes) -> Issued | None:
        """The newest certificate of a probe for this key."""
        row = self._db.execute(
            "SELECT pem, serial, begins, ends FROM certificate WHERE probe = ? AND key = ? ORDER BY ends DESC LIMIT 1",
            (name, key),
        ).fetchone()
        return Issued(*row) if row else None

    def by_serial(self, serial: str) -> tuple[str, Issued] | None:
        """The probe and its certificate with this serial."""
        row = self._db.execute(
            "SELECT probe, pem, serial, begins, ends FROM certificate WHERE serial = ?", (serial,)
        ).fetchone()
        return (row[0], Issued(*row[1:])) if row else None

    def followed(self, serial: str) -> bool:
        """Whether this certificate has been renewed already."""
        return self._db.execute("SELECT 1 FROM certificate WHERE follows = ?", (serial,)).fetchone() is not None

    def probe(self, name: str) -> Row | None:
        """A probe by its name."""
        return next((row for row in self.probes() if row.name == name), None)

    def probes(self) -> list[Row]:
        """All, the newest first."""
        rows = self._db.execute(
            "SELECT name, label, enrolled, revoked, COALESCE(MAX(ends), 0), COUNT(serial) FROM probe"
            " LEFT JOIN certificate ON probe = name GROUP BY name ORDER BY enrolled DESC, name"
        )
        return [Row(*row) for row in rows]

    def waiting(self, now: int) -> list[tuple[str, int]]:
        """(label, end) of the codes that nobody has used yet."""
        rows = self._db.execute(
            "SELECT label, expires FROM code WHERE probe IS NULL AND expires >= ? ORDER BY expires", (now,)
        )
        return list(rows)

    def mark_revoked(self, name: str, now: int) -> None:
        """Take a probe's name back."""
        self._db.execute("UPDATE probe SET revoked = COALESCE(revoked, ?) WHERE name = ?", (now, name))

    def ended(self, now: int) -> list[tuple[str, int]]:
        """(name, end of its newest certificate) of those that have ended and whose session was not cut since, the
        oldest first. Those who were revoked are not among them: theirs was."""
        rows = self._db.execute(
            "SELECT name, MAX(certificate.ends) AS last FROM probe JOIN certificate ON certificate.probe = name"
            " LEFT JOIN cut ON cut.probe = name WHERE revoked IS NULL GROUP BY name"
            " HAVING last < ? AND last > COALESCE(cut.ends, 0) ORDER BY last, name", (now,)
        )
        return list(rows)

    def mark_cut(self, name: str, ends: int) -> None:
        """The session of a probe was ended because its certificate had, at ``ends``."""
        self._db.execute("INSERT OR REPLACE INTO cut VALUES (?, ?)", (name, ends))

    def revoked_serials(self) -> list[str]:
        """Serials of all certificates of all who were revoked."""
        rows = self._db.execute(
            "SELECT serial FROM certificate JOIN probe ON probe = name WHERE revoked IS NOT NULL ORDER BY serial"
        )
        return [serial for (serial,) in rows]
