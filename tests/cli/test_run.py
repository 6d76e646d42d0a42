"""``colibri run``: findings on stdout with --once, words on stderr, and the exit status."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.agent import daemon
from probe.cli import main as cli
from tests.agent.fake_daemon import make_runner


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(daemon.run, "__kwdefaults__", {**(daemon.run.__kwdefaults__ or {}), "make_runner": make_runner})
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    entry = '[[targets]]\ntarget = "{}"\nmeasurements = ["dns_injection"]\n'
    (tmp_path / "targets").write_text(entry.format("interfered") + entry.format("fails"))
    path = tmp_path / "colibri.toml"
    path.write_text(f'probe.state_dir = "{tmp_path}/state"\ntargets.files = ["{tmp_path}/targets"]\n')
    yield path
    root.handlers[:] = handlers
    root.setLevel(level)


def test_once_prints_a_finding_a_line_and_nothing_else_on_stdout(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--once", "--json", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert json.loads(line)["verdict"] == "interfered"
    assert "could not take place: no route" in err


def test_once_for_a_person(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--once", "--config", str(config)]) == 0
    assert "INTERFERED" in capsys.readouterr().out


def test_nothing_measured_is_one_line_and_status_1(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "targets").write_text('[[targets]]\ntarget = "fails"\nmeasurements = ["dns_injection"]\n')
    assert cli.main(["run", "--once", "--config", str(config)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("colibri: nothing could be measured")


def test_a_bad_configuration_is_one_line_and_status_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("x = 1")
    assert cli.main(["run", "--config", str(config)]) == 2
    assert capsys.readouterr().err == f"colibri: {config}: x: there is no such option\n"
