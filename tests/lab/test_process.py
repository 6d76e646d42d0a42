"""The lab's process: how it starts, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.lab import state
from probe.lab.kinds import RouteAway
from probe.lab.scenario import Scenario

pytestmark = pytest.mark.lab

CHAIN = Scenario(name="x", description="X.", world="chain", hops=2)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def start(scenario: Scenario, *options: str) -> tuple[subprocess.Popen[bytes], Any]:
    """The process and what it said first."""
    process = subprocess.Popen([sys.executable, "-m", "probe.lab.process", "one", *options],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(scenario) + b"\n")
    process.stdin.flush()
    return process, msgspec.json.decode(process.stdout.readline())


def namespaces(pid: int) -> list[str]:
    """Network namespaces that a process holds by descriptor."""
    links = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return sorted({str(link) for link in links if str(link).startswith("net:")})


def test_it_ends_when_nobody_holds_its_input() -> None:
    process, said = start(CHAIN)
    assert said["state"]["pid"] == process.pid
    assert len(namespaces(process.pid)) == 5  # home, two routers, server; and the cut link's own
    assert state.read("one") is not None
    process.communicate(timeout=5)
    assert process.returncode == 0
    assert list(state.folder().iterdir()) == []


def test_a_signal_ends_it_cleanly() -> None:
    process, _ = start(CHAIN, "--detached")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert process.returncode == 0
    assert list(state.folder().iterdir()) == []


def test_detached_it_outlives_its_input() -> None:
    process, _ = start(CHAIN, "--detached")
    assert process.stdin is not None
    process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.terminate()
    process.wait(5)
    assert process.stdout is not None
    process.stdout.close()


def test_killed_it_leaves_nothing_but_a_file_that_nobody_believes() -> None:
    process, said = start(CHAIN)
    inside = f"/proc/{process.pid}/fd/{said['state']['namespaces']['server']}"
    assert Path(inside).exists()
    process.kill()
    process.communicate()
    assert not Path(inside).exists()
    assert state.read("one") is None
    holders = [pid for pid in os.listdir("/proc") if pid.isdigit() and _holds(pid, process.pid)]  # noqa: PTH208
    assert holders == []


def _holds(pid: str, parent: int) -> bool:
    """Whether a process is a child that the dead lab left behind."""
    try:
        return f"PPid:\t{parent}\n" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_what_cannot_be_raised_is_said_in_one_line() -> None:
    process, said = start(msgspec.structs.replace(CHAIN, boxes=(RouteAway(at="moon", prefixes=()),)))
    process.communicate(timeout=5)
    assert (process.returncode, said["exit_status"]) == (2, 2)
    assert "moon" in said["error"]
