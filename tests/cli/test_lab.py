"""``colibri lab``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.cli.main import main
from probe.lab import matrix, state
from probe.lab.scenario import Expectation
from probe.lab.score import Observation, Outcome

CHAIN = '[[scenarios]]\nname = "tiny"\ndescription = "A chain."\nworld = "chain"\n'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(CHAIN)
    return str(path)


def test_the_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 40
    assert any(line.startswith("demo ") and "Oran" in line for line in lines)


@pytest.mark.lab
def test_a_lab_goes_up_is_entered_and_goes_down(tiny: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "up", tiny, "--name", "mine"]) == 0
    assert "lab 'mine' is up" in capfd.readouterr().out
    try:
        assert main(["lab", "up", tiny, "--name", "mine"]) == 2
        assert "is up already" in capfd.readouterr().err
        assert main(["lab", "status"]) == 0
        assert capfd.readouterr().out.split()[:2] == ["mine", "tiny"]
        assert main(["lab", "config", "chain", "--name", "mine"]) == 0
        assert 'resolver = "203.0.113.10"' in capfd.readouterr().out
        command = [sys.executable, "-m", "probe", "lab", "exec", "--name", "mine", "chain", "ip", "-o", "route"]
        assert "198.18.1.101" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert main(["lab", "exec", "--name", "mine", "chain", "no-such-command"]) == 2
        assert "no-such-command" in capfd.readouterr().err
        assert main(["lab", "exec", "--name", "mine", "chain"]) == 2
    finally:
        assert main(["lab", "down", "--name", "mine"]) == 0
    assert state.running() == []
    capfd.readouterr()
    assert main(["lab", "down", "--name", "mine"]) == 2
    assert capfd.readouterr().err == "colibri: no lab called 'mine' is up\n"


@pytest.mark.lab
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_a_signal_ends_it(tiny: str, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "probe", "lab", "up", tiny, "--foreground"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        assert "is up" in process.stdout.readline()
        assert "exec" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(5) == 0
    assert state.running() == []


def test_what_cannot_be_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = tmp_path / "two.toml"
    two.write_text(CHAIN + CHAIN.replace("tiny", "other"))
    for words, says in (
        (["up", "atlantis"], "atlantis"),
        (["up", str(two)], "2 scenarios"),
        (["exec", "atlas", "true"], "no lab"),
        (["score", "--runs", "0"], "--runs"),
        (["score", "atlantis"], "atlantis"),
        (["score", "--measurement", "telepathy"], "telepathy"),
        (["dance"], "dance"),
    ):
        assert main(["lab", *words]) == 2
        assert says in capsys.readouterr().err


def test_a_score_is_printed_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = Expectation(operator="sale", measurement="m", target="t", verdict=("clean",))
    asked: list[Any] = []

    def run(names: list[str], **options: Any) -> list[Observation]:
        asked.append((names, options["runs"], options["jobs"]))
        options["progress"]("half way")
        return [Observation("x", True, expected, 0, (), Outcome("clean"))]

    monkeypatch.setattr(matrix, "run", run)
    assert main(["lab", "score", "demo", "--runs", "3", "--jobs", "4"]) == 0
    captured = capsys.readouterr()
    assert "1 of 1 runs as expected" in captured.out
    assert captured.err == "half way\n"
    table, numbers = tmp_path / "t.md", tmp_path / "t.json"
    assert main(["lab", "score", "--markdown", str(table), "--json", str(numbers)]) == 0
    assert capsys.readouterr().out == ""
    assert "1 of 1 runs" in table.read_text()
    assert msgspec.json.decode(numbers.read_bytes())["score"]["right"] == 1
    assert asked == [(["demo"], 3, 4), ([], 1, matrix.default_jobs())]
