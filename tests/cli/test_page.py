"""``colibri page``: the code of this device, and an address that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.cli import main as cli


def test_the_code_is_that_of_the_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "colibri.toml").write_text(f'probe.state_dir = "{tmp_path}/state"\n')
    assert cli.main(["page", "code", "--config", str(tmp_path / "colibri.toml")]) == 0
    shown = capsys.readouterr().out
    assert shown == (tmp_path / "state/page-code").read_text()
    assert cli.main(["page", "code", "--config", str(tmp_path / "colibri.toml")]) == 0
    assert capsys.readouterr().out == shown


def test_a_code_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "colibri.toml").write_text('page.code_file = "code"\n')
    (tmp_path / "code").mkdir()
    assert cli.main(["page", "code", "--config", str(tmp_path / "colibri.toml")]) == 1
    assert capsys.readouterr().err.startswith(f"colibri: {tmp_path}/code: Is a directory (be a member of the group")


def test_an_address_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["page", "run", "--listen", "nowhere"]) == 2
    assert "--listen: 'nowhere' is not ADDRESS:PORT" in capsys.readouterr().err


def test_an_action_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["page"]) == 2
    assert "ACTION" in capsys.readouterr().err
