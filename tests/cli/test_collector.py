"""``colibri collector``: wrong usage, missing extra, and a whole run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.cli import collector
from probe.collector.store import IncidentRow
from probe.model.errors import ColibriError, ConfigError, StoreError
from tests.collector.clickhouse.conftest import Server
from tests.collector.conftest import Desk, FakeProbe
from tests.collector.test_rollup import findings, give


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="colibri collector")
    collector.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "colibri.toml"
    database = tmp_path / "store" / "findings.sqlite3"
    path.write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = 1\n[collector]\ndatabase = "{database}"\n')
    return path


def test_an_action_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse()
    assert ended.value.code == 2
    assert "ACTION" in capsys.readouterr().err


def test_what_listen_says_wins_over_the_file(config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"collector\.listen: 'nonsense' is not ADDRESS:PORT"):
        collector.run(parse("run", "--config", str(config_file), "--listen", "nonsense"))


@pytest.mark.parametrize("missing", collector.EXTRA)
def test_a_missing_extra_is_one_line_that_says_how_to_mend_it(
    config_file: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import probe.collector

    # Its parent would go on naming the copy that is imported below, and other tests would patch that one.
    monkeypatch.setattr(probe, "collector", probe.collector)
    for name in [n for n in sys.modules if n.startswith("probe.collector") or n.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ColibriError, match=rf"needs {missing}: pip install 'colibri-probe\[collector\]'") as raised:
        collector.run(parse("run", "--config", str(config_file)))
    assert "\n" not in str(raised.value)


def test_importing_the_verb_imports_nothing_heavy() -> None:
    script = (
        "import sys, probe.cli.collector; print(sorted({'paho', 'starlette', 'sqlite3', 'msgspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.loopback
def test_it_tells_systemd_when_it_is_ready_and_ends_on_sigterm(config_file: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(30)
        command = [sys.executable, "-m", "probe.cli.main", "collector", "run"]
        environment: dict[str, Any] = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(
            [*command, "--config", str(config_file), "--listen", "127.0.0.1:0"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert notify.recv(100) == b"READY=1\nSTATUS=monitor on 127.0.0.1:0"
            finally:
                process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "monitor at http://127.0.0.1:" in errors


def test_incidents_need_a_database(config_file: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no database .*findings\.sqlite3"):
        collector.run(parse("incidents", "--config", str(config_file)))


@pytest.mark.parametrize(("options", "text"), [
    ([], ["closed  DZ Fawri (fixed)  ip_blackhole  196.20.66.10", "2 of 2 homes (counted by probe)"]),
    (["--cases"], ["DZ octenium  since 2026-01-05", "AS36947 (fixed): 1 target, 2 of 2 homes"]),
    (["--open"], ["no incidents"]),
    (["--cases", "--open"], ["no incidents"]),
])  # fmt: skip
def test_incidents_are_listed(
    config_file: Path, options: list[str], text: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(config_file.parent / "store" / "findings.sqlite3")
    give(desk, findings(FakeProbe, homes=2))
    desk.close()
    assert collector.run(parse("incidents", "--config", str(config_file), *options)) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in text), told
    assert collector.run(parse("incidents", "--config", str(config_file), *options, "--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == (0 if "--open" in options else 1)


def test_a_dossier_is_made_and_checked(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(config_file.parent / "store" / "findings.sqlite3")
    give(desk, findings(FakeProbe, homes=2))
    (row,) = desk.reader.incidents(10)
    desk.close()
    output = config_file.parent / "x.zip"
    assert collector.run(parse("dossier", row.id, "--config", str(config_file), "--output", str(output))) == 0
    assert (config_file.parent / "store" / "dossier-key.pem").exists()
    capsys.readouterr()
    assert collector.run(parse("check", str(output))) == 0
    assert "everything is as it was signed" in capsys.readouterr().out
    output.write_bytes(output.read_bytes().replace(b"README.txt", b"README.tXt"))
    assert collector.run(parse("check", str(output), "--json")) == 1
    wrong = json.loads(capsys.readouterr().out)["wrong"]
    assert wrong == ["README.txt: is missing", "README.tXt: is not in the manifest"]


def test_copying_needs_somewhere_to_copy_to(config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"collector\.store: it names no ClickHouse"):
        collector.run(parse("copy", "--config", str(config_file)))


def test_a_store_that_is_away_is_one_line(config_file: Path) -> None:
    with config_file.open("a") as file:
        file.write('store = "clickhouse://127.0.0.1:1/colibri"\n')
    with pytest.raises(StoreError, match=r"the store 127\.0\.0\.1:1 is out of reach"):
        collector.run(parse("copy", "--config", str(config_file)))


@pytest.mark.long
@pytest.mark.loopback
def test_copying_into_a_server(config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(tmp_path, list)
    desk = Desk(tmp_path / "store" / "findings.sqlite3")
    some = findings(FakeProbe)
    give(desk, some)
    expected = [msgspec.structs.replace(row, change=0) for row in desk.reader.incidents(9)]
    server.start()
    try:
        with config_file.open("a") as file:
            file.write(f'store = "clickhouse://127.0.0.1:{server.http}/colibri"\n')
        for copied in (len(some), 0):
            assert collector.run(parse("copy", "--config", str(config_file))) == 0
            said = capsys.readouterr()
            assert said.out == f"{copied} findings copied; all that was in the database is in the store\n"
            assert (f"findings: {len(some)} of {len(some)}" in said.err) is (copied > 0)
        assert collector.run(parse("incidents", "--config", str(config_file), "--json")) == 0
        told = [msgspec.json.decode(line, type=IncidentRow) for line in capsys.readouterr().out.splitlines()]
        assert [msgspec.structs.replace(row, change=0) for row in told] == expected
    finally:
        server.stop()
        desk.close()
