"""``colibri resume``: the household's own pause, and not another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.agent.pause import Pause
from probe.cli import main as cli


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "colibri.toml"
    path.write_text(f'control.socket = "{tmp_path}/control"\nprobe.state_dir = "{tmp_path}"\n')
    return str(path)


def test_it_takes_the_pause_back(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Pause(tmp_path).hold("home")
    assert cli.main(["resume", "--config", config]) == 0
    assert capsys.readouterr().out.endswith("measuring goes on\n")
    assert not Pause(tmp_path).on


def test_the_operator_s_stays(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Pause(tmp_path).hold("operator")
    assert cli.main(["resume", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "paused by the operator since 2" in out
    assert out.endswith("that pause is for the operator of the probes to lift\n")
    assert Pause(tmp_path).on
