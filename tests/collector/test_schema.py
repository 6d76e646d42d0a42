"""Opening, migrating and refusing databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector import instants, schema
from probe.model.errors import StoreError

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")


def test_a_new_database_is_whole_durable_and_readable_beside_the_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "findings.sqlite3")
    with closing(schema.open_writer(path)) as writer, closing(schema.open_reader(path)) as reader:
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert writer.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert reader.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM findings")


def test_opening_again_migrates_nothing_and_keeps_everything(tmp_path: Path) -> None:
    path = str(tmp_path / "findings.sqlite3")
    with closing(schema.open_writer(path)) as first:
        first.execute("INSERT INTO counters VALUES ('stored', 7)")
    with closing(schema.open_writer(path)) as again:
        assert again.execute("SELECT value FROM counters").fetchone() == (7,)


def test_an_older_database_gets_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "findings.sqlite3")
    schema.open_writer(path).close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE novelties (id TEXT);"))
    with closing(schema.open_writer(path)) as upgraded:
        assert upgraded.execute("SELECT count(*) FROM novelties").fetchone() == (0,)
        assert upgraded.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "findings.sqlite3")
    schema.open_writer(path).close()
    good = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*good, "CREATE TABLE novelties (id TEXT); CREATE TABLE findings (x);"))
    with pytest.raises(StoreError, match="already exists"):
        schema.open_writer(path)
    with closing(sqlite3.connect(path)) as left:
        assert left.execute("PRAGMA user_version").fetchone() == (len(good),)
        assert left.execute("SELECT count(*) FROM sqlite_master WHERE name = 'novelties'").fetchone() == (0,)


def test_a_database_of_a_newer_colibri_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "findings.sqlite3")
    with closing(schema.open_writer(path)) as writer:
        writer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer Colibri"):
        schema.open_writer(path)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "findings.sqlite3"
    path.write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(StoreError, match=r"findings\.sqlite3 can't be opened"):
        schema.open_writer(str(path))
    with pytest.raises(StoreError, match="can't be opened"):
        schema.open_writer(str(path / "below-a-file" / "x"))


def test_findings_of_an_older_database_are_rolled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desks: Callable[..., Desk], probes: Callable[..., FakeProbe]
) -> None:
    probe = probes()
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
    with closing(schema.open_writer(str(tmp_path / "old"))) as old:
        for minute, verdict in ((0, "clean"), (1, "clean"), (2, "interfered"), (61, "clean")):
            f = probe.finding(verdict, NOON + minute * instants.MINUTE)  # type: ignore[arg-type]
            technique = f.interference and f.interference.technique
            old.execute(
                "INSERT INTO findings (id, cell, probe, measurement, verdict, technique, at, received_at,"
                " evidence_sha256, digest, body) VALUES (?, 'c', ?, ?, ?, ?, ?, 0, '', '', ?)",
                (f.id, f.probe.id, f.measurement, f.verdict, technique, instants.from_text(f.started_at),
                 msgspec.json.encode(f)),
            )  # fmt: skip
    monkeypatch.undo()
    desk = desks("old")
    with closing(sqlite3.connect(desk.path)) as now:
        rows = now.execute(
            "SELECT operator, grouped, hour, probe, what, n, first, last FROM hourly JOIN series"
        ).fetchall()
        days = now.execute("SELECT day, what, n FROM daily").fetchall()
        techniques = now.execute("SELECT what FROM techniques").fetchall()
    midnight = NOON // instants.DAY * instants.DAY
    assert days == [(midnight, "clean", 3), (midnight, "dns_injection", 1)]
    assert techniques == [("dns_injection",)]
    hour, minute = instants.HOUR, instants.MINUTE
    assert rows == [
        ("AS64501", "press", NOON, "p-one", "clean", 2, NOON, NOON + minute),
        ("AS64501", "press", NOON, "p-one", "dns_injection", 1, NOON + 2 * minute, NOON + 2 * minute),
        ("AS64501", "press", NOON + hour, "p-one", "clean", 1, NOON + 61 * minute, NOON + 61 * minute),
    ]
