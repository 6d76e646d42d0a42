"""The demo's child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probe.lab.parts import Parts
from probe.model.errors import CannotMeasure


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def until_file(path: Path) -> str:
    end = time.monotonic() + 15
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.01)
    return path.read_text().strip()


def test_a_part_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.start("good", ["sleep", "60"])
    parts.check()
    parts.start("bad", [sys.executable, "-c", "import sys; print(1); print('no more ink'); sys.exit(3)"])
    parts._running["bad"].wait(15)
    with pytest.raises(CannotMeasure, match="bad ended with status 3: 1 / no more ink"):
        parts.check()
    parts.stop()


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="ghost can't be started"):
        Parts(tmp_path).start("ghost", ["no-such-program"])


def test_they_end_when_told_and_by_force_if_they_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.lab.parts._GRACE", 0.2)
    parts = Parts(tmp_path)
    stubborn = "trap '' TERM; echo $$ > {0}; while :; do sleep 0.05; done"
    for name, script in (("meek", "echo $$ > {0}; exec sleep 60"), ("stubborn", stubborn)):
        parts.start(name, ["sh", "-c", script.format(tmp_path / f"{name}.pid")])
    pids = [int(until_file(tmp_path / f"{name}.pid")) for name in ("meek", "stubborn")]
    assert all(map(alive, pids))
    parts.stop()
    assert not any(map(alive, pids))


def test_ctrl_c_is_for_the_parent_alone(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.start("one", ["sh", "-c", f"echo $$ > {tmp_path / 'pid'}; exec sleep 60"])
    pid = int(until_file(tmp_path / "pid"))
    assert os.getpgid(pid) != os.getpgrp()
    parts.stop()


def test_they_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom probe.lab.parts import Parts\n"
        f"Parts(Path({str(tmp_path)!r})).start('child', ['sh', '-c', 'echo $$ > {tmp_path / 'pid'}; exec sleep 60'])\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    pid = int(until_file(tmp_path / "pid"))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.01)
