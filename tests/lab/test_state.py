"""The file by which others find a lab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from probe.lab import state
from probe.lab.scenario import Scenario
from probe.lab.state import Home, State
from probe.lab.world import Prefix
from probe.model.errors import MalformedRecord, UsageError


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def made(name: str = "one", *, pid: int = 0, started: int = 0) -> State:
    pid = pid or os.getpid()
    home = Home("atlas.home", "atlas", 64501, "MA", "fixed", {}, {"press": 9})
    return State(name, pid, started or state.start_time(pid), Scenario(name="x", description="X."), {"atlas.home": 7},
                 {"atlas": home}, {}, [Prefix("203.0.113.0/26", 64530, "press")], "-----BEGIN")


def test_a_lab_that_is_up_is_found() -> None:
    path = state.write(made())
    assert path.parent.stat().st_mode & 0o077 == 0
    assert state.read("one") == made()
    assert [found.name for found in state.running()] == ["one"]
    assert set(path.parent.iterdir()) == {path, made().authority_file, made().prefixes_file}


def test_a_probe_finds_authority_and_networks() -> None:
    state.write(made())
    assert made().authority_file.read_text() == "-----BEGIN"
    assert made().prefixes_file.read_text() == "203.0.113.0/26 64530 press\n"


def test_the_file_of_a_dead_lab_is_removed() -> None:
    for stale in (made(pid=2**22 - 1, started=5), made(started=5)):  # no such process; its number given to another
        path = state.write(stale)
        assert state.read("one") is None
        assert list(path.parent.iterdir()) == []
    assert state.running() == []


def test_a_file_that_is_none_is_named() -> None:
    path = state.folder() / "one.json"
    path.write_text("{")
    with pytest.raises(MalformedRecord, match=str(path)):
        state.read("one")


def test_nodes_have_a_path_to_enter_by() -> None:
    assert made().path("atlas.home") == f"/proc/{os.getpid()}/fd/7"
    with pytest.raises(UsageError, match="moon"):
        made().path("moon")


def test_a_process_is_known_by_its_start() -> None:
    assert state.start_time(os.getpid()) > 0
    assert state.start_time(2**22 - 1) == 0


def test_the_folder_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state.folder().stat().st_mode & 0o777 == 0o700
    assert state.folder().name == f"colibri-lab-{os.getuid()}"
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UsageError, match="someone else"):
        state.folder()


@pytest.mark.lab
def test_in_a_user_namespace_the_folder_bears_the_outer_users_number(tmp_path: Path) -> None:
    script = "from probe.lab import state\nprint(state.folder().name)"
    command = ["unshare", "-U", "--map-user=7", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"colibri-lab-{os.getuid()}"
