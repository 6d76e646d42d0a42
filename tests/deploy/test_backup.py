"""deploy/server/backup.py: a collector comes back with its incidents, its authority and its keys, or not at all."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from probe.cli import main as cli
from tests.collector.conftest import Desk, FakeProbe
from tests.collector.test_rollup import findings, give
from tests.scripts import DEPLOY, load

SCRIPT = DEPLOY / "server/backup.py"
STATE = "var/lib/colibri-collector"


BACKUP = load("server/backup")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A root with a collector that found an incident, an authority, and certificates."""
    root = tmp_path / "server"
    state = root / STATE
    (state / "tls").mkdir(parents=True)
    (root / "etc/colibri").mkdir(parents=True)
    (root / "etc/mosquitto/certs").mkdir(parents=True)
    (root / "etc/colibri/colibri.toml").write_text(configuration(root))
    desk = Desk(state / "findings.sqlite3")
    give(desk, findings(FakeProbe, homes=2))
    desk.close()
    assert cli.main(["collector", "enrol", "--label", "Amina", "--config", str(root / "etc/colibri/colibri.toml")]) == 0
    (state / "tls/collector.example.key").write_text("a key")
    (state / "tls/collector.example.key").chmod(0o600)
    (state / "tls/broker.key").symlink_to("collector.example.key")
    (root / "etc/mosquitto/colibri.conf").write_text("listener 8883\n")
    (root / "etc/mosquitto/mosquitto.conf").write_text("Debian's own\n")
    (root / "etc/mosquitto/certs/colibri-ca.pem").write_text("a certificate")
    return root


def configuration(root: Path) -> str:
    return f"""
[collector]
database = "{root}/{STATE}/findings.sqlite3"
[collector.enrol]
folder = "{root}/{STATE}/enrol"
names = ["collector.example"]
"""


def incidents(root: Path, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    capsys.readouterr()
    assert cli.main(["collector", "incidents", "--json", "--config", str(root / "etc/colibri/colibri.toml")]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_collector_comes_back_with_the_same_incidents(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = incidents(server, capsys)
    assert len(before) == 1
    saved = run("backup", tmp_path / "b.tar.gz", "--root", server)
    assert saved.returncode == 0, saved.stderr
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    assert run("restore", tmp_path / "b.tar.gz", "--root", other).returncode == 0
    (other / "etc/colibri/colibri.toml").write_text(configuration(other))  # its paths name the root
    assert incidents(other, capsys) == before
    # The authority goes on: the same key, and the code that was given out is still open.
    for name in ("authority.key", "authority.pem", "revoked.crl"):
        assert (other / STATE / "enrol" / name).read_bytes() == (server / STATE / "enrol" / name).read_bytes()
        assert (other / STATE / "enrol" / name).stat().st_mode == (server / STATE / "enrol" / name).stat().st_mode
    assert cli.main(["collector", "list", "--config", str(other / "etc/colibri/colibri.toml")]) == 0
    assert "Amina" in capsys.readouterr().out
    assert (other / STATE / "tls/broker.key").readlink() == Path("collector.example.key")
    assert (other / STATE / "tls/collector.example.key").stat().st_mode & 0o777 == 0o600
    assert (other / "etc/mosquitto/colibri.conf").read_text() == "listener 8883\n"
    assert not (other / "etc/mosquitto/mosquitto.conf").exists()


def test_what_is_committed_while_it_runs_is_whole(server: Path, tmp_path: Path) -> None:
    path = server / STATE / "live.sqlite3"
    writer = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE pair (a, b)")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            writer.execute("BEGIN")
            writer.execute("INSERT INTO pair VALUES (?, NULL)", (number,))
            writer.execute("UPDATE pair SET b = a WHERE b IS NULL")
            writer.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert BACKUP.backup(server, tmp_path / "b.tar.gz") > 5
    finally:
        stop.set()
        thread.join(30)
        writer.close()
    BACKUP.restore(tmp_path / "other", tmp_path / "b.tar.gz", False)
    copy = sqlite3.connect(tmp_path / "other" / STATE / "live.sqlite3")
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert copy.execute("SELECT count(*) FROM pair WHERE a IS NOT b").fetchone() == (0,)
    copy.close()
    assert not list((tmp_path / "other").rglob("*-wal"))


def test_findings_are_written_over_only_if_that_is_said(server: Path, tmp_path: Path) -> None:
    run("backup", tmp_path / "b.tar.gz", "--root", server)
    before = (server / STATE / "findings.sqlite3").read_bytes()
    refused = run("restore", tmp_path / "b.tar.gz", "--root", server)
    assert refused.returncode == 1
    assert "is there already; --replace writes over it" in refused.stderr
    assert (server / STATE / "findings.sqlite3").read_bytes() == before
    (server / STATE / "findings.sqlite3-wal").write_bytes(b"of another database")
    assert run("restore", tmp_path / "b.tar.gz", "--root", server, "--replace").returncode == 0
    assert not (server / STATE / "findings.sqlite3-wal").exists()
    assert list(server.rglob("*.restored")) == []


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_damaged_file_is_refused_and_changes_nothing(server: Path, tmp_path: Path, where: float) -> None:
    run("backup", tmp_path / "b.tar.gz", "--root", server)
    plain = bytearray(gzip.decompress((tmp_path / "b.tar.gz").read_bytes()))
    marks = [i for i in range(int(len(plain) * where), len(plain)) if plain[i]]
    plain[marks[0]] ^= 1
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(plain))
    for action in ("check", "restore"):
        done = run(action, tmp_path / "b.tar.gz", "--root", tmp_path / "other")
        assert done.returncode == 1
        assert done.stderr.startswith("backup: ")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b"])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b").write_bytes(content)
    done = run("check", tmp_path / "b")
    assert done.returncode == 1
    assert "is not a whole backup" in done.stderr


@pytest.mark.parametrize(
    ("name", "link"),
    [("../evil", ""), ("/etc/passwd", ""), ("etc/passwd", ""), (f"{STATE}/../../../etc/x", ""),
     (f"{STATE}/x", "/etc/shadow"), (f"{STATE}/x", "../../x")],
)  # fmt: skip
def test_an_archive_can_t_reach_out_of_its_folders(tmp_path: Path, name: str, link: str) -> None:
    member = tarfile.TarInfo(name)
    data = b"evil"
    if link:
        member.type, member.linkname, data = tarfile.SYMTYPE, link, b""
    member.size = len(data)
    hashes = {} if link else {name: BACKUP.hashlib.sha256(data).hexdigest()}
    hashes[f"{STATE}/y"] = BACKUP.hashlib.sha256(b"").hexdigest()
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        tar.addfile(member, io.BytesIO(data))
        tar.addfile(tarfile.TarInfo(f"{STATE}/y"), io.BytesIO())
        manifest = json.dumps({"sha256": hashes}).encode()
        BACKUP.add(tar, tarfile.TarInfo("MANIFEST.json"), manifest)
    done = run("restore", tmp_path / "b.tar.gz", "--root", tmp_path / "other")
    assert done.returncode == 1
    assert not (tmp_path / "other").exists()


def test_nothing_to_save_is_told(tmp_path: Path) -> None:
    done = run("backup", tmp_path / "b.tar.gz", "--root", tmp_path)
    assert done.returncode == 1
    assert "there is nothing to save" in done.stderr
    assert not (tmp_path / "b.tar.gz").exists()
