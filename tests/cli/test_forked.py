"""Commands in processes forked for them, in the home of a lab."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.cli.forked import colibri, forked
from probe.lab.lab import Lab
from probe.lab.scenario import Expectation, find

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(find("honest")) as up:
        yield up


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_it_is_the_same_command(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["measure", "nothing", "x"]):
        done = colibri(lab, "atlas", words, 30)
        own = subprocess.run([sys.executable, "-m", "probe", *words], capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (own.returncode, own.stdout, own.stderr)
    assert capfd.readouterr() == ("", "")


def test_it_measures_from_the_home(lab: Lab) -> None:
    expected = Expectation(operator="atlas", measurement="dns_injection", target="press.example", verdict=("clean",))
    outcome = forked(lab, expected)
    assert (outcome.verdict, outcome.error) == ("clean", "")
    assert outcome.seconds > 0


def test_one_that_hangs_is_killed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.cli.forked.main", lambda _words: time.sleep(60))
    before = children(), open_files()
    with pytest.raises(subprocess.TimeoutExpired):
        colibri(lab, "atlas", [], 0.5)
    assert (children(), open_files()) == before


def test_a_fault_of_ours_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_words: list[str]) -> int:
        raise RuntimeError("a fault")

    monkeypatch.setattr("probe.cli.forked.main", fails)
    done = colibri(lab, "atlas", [], 30)
    assert done.returncode == 70
    assert done.stderr.endswith(b"RuntimeError: a fault\n")
    assert done.stdout == b""
