"""``python -m probe`` (probe/__main__.py)."""

from __future__ import annotations

import runpy

import pytest

from probe import __version__


def test_python_m_probe_is_the_colibri_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["probe", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("probe", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"colibri {__version__}\n"
