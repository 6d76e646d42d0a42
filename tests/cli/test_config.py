"""``colibri config``: right or wrong, and what is in force."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import tomli

from probe.agent.options import options
from probe.cli import main as cli
from probe.model.config import Config


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "colibri.toml"
    monkeypatch.setenv("COLIBRI_CONFIG", str(path))
    path.write_text(f'[line]\noperator = "A"\n[targets]\nfiles = ["{tmp_path}/targets"]\n')
    (tmp_path / "targets").write_text('[[targets]]\ntarget = "a"\nmeasurements = ["dns_injection"]\n')
    return path


def test_a_right_one_is_called_right(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out == f"{file}: right; 1 targets, 1 measurements planned\n"


def test_a_wrong_one_is_named_with_its_key(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[mqtt]\nhots = 'x'\n")
    assert cli.main(["config", "check", str(other)]) == 2
    said = f"colibri: {other}: mqtt.hots: there is no such option; did you mean 'host'?\n"
    assert capsys.readouterr().err == said
    (tmp_path / "targets").write_text('[[targets]]\ntarget = "a"\n')
    assert cli.main(["config", "check"]) == 2
    assert "targets[0].measurements" in capsys.readouterr().err


def test_what_is_in_force_can_be_read_again(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "show", str(file)]) == 0
    shown = msgspec.convert(tomli.loads(capsys.readouterr().out), Config)
    assert shown == msgspec.convert(tomli.loads(file.read_text()), Config)


def test_the_help_text_has_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "show", "--help-text"]) == 0
    out = capsys.readouterr().out
    assert [name for name, *_ in options() if f"`{name}`" not in out] == []
