"""The demo as a person runs it: what it measures, and that nothing outlives it, however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probe.lab import demo, state

pytestmark = pytest.mark.lab

SMALL = """
[[scenarios]]
name = "small"
description = "A chain."
world = "chain"
hops = 2
rtt = 0.0
expect = [{ operator = "chain", measurement = "ttl_path", target = "203.0.113.10:443", verdict = ["clean"],
            options = { trigger = "none" } }]
"""


def until(true: Callable[[], object], what: str, within: float = 20.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


class Demo:
    """A demo in a process of its own, with a folder of its own; knows what it left."""

    def __init__(self, *arguments: str, wrapper: tuple[str, ...] = (), **environment: str) -> None:
        self._mark = f"COLIBRI_TEST_MARK={uuid.uuid4()}"
        self._home = tempfile.TemporaryDirectory(prefix="demo")  # short: a socket's path has 107 bytes
        key, _, value = self._mark.partition("=")
        self.popen = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "probe", "lab", "demo", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, key: value, "XDG_RUNTIME_DIR": self._home.name, **environment},
        )  # fmt: skip
        self.said = ""

    def wait_for(self, words: str) -> str:
        """Read until a line with the words; that line."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.said += line
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}: {self.said}")

    def end(self) -> int:
        """Wait for the end; the exit status."""
        rest, _ = self.popen.communicate(timeout=100)
        self.said += rest
        return self.popen.returncode

    def processes(self) -> list[str]:
        """Command lines of all processes of this demo, zombies apart."""
        found = []
        for path in Path("/proc").iterdir():
            try:
                if path.name.isdigit() and self._mark.encode() in (path / "environ").read_bytes():
                    found.append((path / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it has just ended
                continue
        return found

    def processes_like(self, words: str) -> list[int]:
        return [
            int(path.name) for path in Path("/proc").iterdir()
            if path.name.isdigit() and words in _read(path / "cmdline") and self._mark in _read(path / "environ")
        ]  # fmt: skip

    def files(self) -> list[str]:
        return sorted(path.name for path in Path(self._home.name).glob("colibri-lab-*/*"))

    def close(self) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.communicate()
        until(lambda: not self.processes(), "everything has ended")
        self._home.cleanup()


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


Start = Callable[..., Demo]


@pytest.fixture
def start() -> Iterator[Start]:
    """``start(*arguments)`` runs a demo that ends with the test."""
    made: list[Demo] = []

    def up(*arguments: str, wrapper: tuple[str, ...] = (), **environment: str) -> Demo:
        made.append(Demo(*arguments, wrapper=wrapper, **environment))
        return made[-1]

    yield up
    for one in made:
        one.close()


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A scenario that is up and measured in a moment."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return str(path)


def marks(said: str) -> list[str]:
    """The last column of the closing table."""
    body = said.partition("\n---")[2].splitlines()[1:]
    return [re.split(r"  +", line)[-1] for line in body if line]


def test_from_the_wire_to_the_table_every_line_is_as_it_should_be(start: Start) -> None:
    one = start("--until-complete", "--seconds", "90")
    status = one.end()
    assert marks(one.said) == ["ok"] * 10, one.said
    assert status == 0
    table = one.said.partition("operator  target")[2]
    assert re.search(r"sale +press\.example +dns_injection +interfered +dns_injection +hops 2-3 \(.*at hop 3 ", table)
    assert re.search(r"sale +https://press\.example/ +tcp_reset +interfered +tcp_reset +hops 3-4 \(.*at hop 4 ", table)
    assert (one.processes(), one.files()) == ([], [])


def test_it_runs_in_a_network_of_its_own_without_privileges(start: Start, small: str) -> None:
    one = start(small, "--until-complete", "--seconds", "60", wrapper=("unshare", "-Urn"))
    assert (one.end(), marks(one.said)) == (0, ["ok"]), one.said
    assert (one.processes(), one.files()) == ([], [])


PHASES = ("the lab is up", "the monitor", "a probe on each line", "ttl_path")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize(("phase", "number"), [
    # Every phase and every signal in the quick tier, every pair in the long one.
    pytest.param(phase, number, marks=[] if one % 3 == other or phase == PHASES[0] else pytest.mark.long)
    for one, phase in enumerate(PHASES) for other, number in enumerate(SIGNALS)
])  # fmt: skip
def test_a_signal_in_any_phase_leaves_nothing(start: Start, small: str, phase: str, number: signal.Signals) -> None:
    one = start(small)
    one.wait_for(phase)
    os.killpg(one.popen.pid, number)  # the whole group, as a terminal does
    raised = phase in ("a probe on each line", "ttl_path")
    assert one.end() in ((0,) if raised else (0, 130)), one.said
    assert "Traceback" not in one.said
    assert (one.processes(), one.files()) == ([], [])
    if phase == "ttl_path":
        assert marks(one.said) == ["ok"]


def test_impatience_changes_nothing(start: Start, small: str) -> None:
    one = start(small)
    one.wait_for("a probe on each line")
    for _ in range(5):
        os.killpg(one.popen.pid, signal.SIGINT)
        time.sleep(0.02)
    assert one.end() in (0, 130)
    assert (one.processes(), one.files()) == ([], [])


@pytest.mark.parametrize("phase", ["the lab is up", "the monitor", "a probe on each line"])
def test_killed_it_leaves_no_process_and_no_namespace(start: Start, small: str, phase: str) -> None:
    one = start(small)
    one.wait_for(phase)
    one.popen.kill()
    until(lambda: not one.processes(), "all have died with it")


def test_what_a_killed_demo_left_is_taken_away_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    home = state.folder()
    living = home / f"demo.{os.getpid()}.{state.start_time(os.getpid())}"
    dead = home / f"demo.{os.getpid()}.1"
    for left in (living, dead):
        left.mkdir()
        (left / "passwords").write_text("secret")
    (home / "demo-1-2.json").write_text("{}")  # a lab's
    (home / "demo.1.2.json").write_text("{}")
    stale = demo._folder()
    living.rename(home / "other")
    with stale as own:
        assert own == living, "named after the process that owns it"
        assert not dead.exists()
        (own / "file").write_text("x")
    assert sorted(path.name for path in home.iterdir()) == ["demo-1-2.json", "demo.1.2.json", "other"]


def test_a_part_that_dies_ends_it_with_a_reason(start: Start, small: str) -> None:
    one = start(small)
    one.wait_for("a probe on each line")
    (broker,) = one.processes_like("mosquitto.conf")
    os.kill(broker, signal.SIGKILL)
    assert one.end() == 1
    assert one.said.splitlines()[-1].startswith("colibri: mosquitto ended with status -9")
    assert (one.processes(), one.files()) == ([], [])


def test_a_lab_that_dies_ends_it_with_a_reason(start: Start, small: str) -> None:
    one = start(small)
    one.wait_for("a probe on each line")
    (lab,) = one.processes_like("probe.lab.process")
    os.kill(lab, signal.SIGKILL)
    assert one.end() == 1
    assert "the lab's process has ended" in one.said.splitlines()[-1]
    assert (one.processes(), one.files()) == ([], [])


def test_two_demos_that_start_together_have_a_monitor_each(start: Start, small: str) -> None:
    both = [start(small), start(small)]
    addresses = {one.wait_for("the monitor").split()[-1] for one in both}
    assert len(addresses) == 2
    for one in both:
        one.wait_for("a probe on each line")
        one.popen.send_signal(signal.SIGINT)
        assert one.end() == 0


def test_where_the_usual_port_is_taken_the_monitor_gets_another(start: Start, small: str) -> None:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with taken:
        with contextlib.suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", 8080))
        taken.listen()
        one = start(small, "--seconds", "0.1")
        address = one.wait_for("the monitor").split()[-1]
        assert address.startswith("http://127.0.0.1:")
        assert ":8080/" not in address
        assert one.end() == 0, one.said


def test_what_nobody_measured_in_time_is_said(start: Start, small: str) -> None:
    one = start(small, "--seconds", "0.1")
    assert one.end() == 0
    assert marks(one.said) == ["not yet"]


@pytest.mark.parametrize(("seconds", "says"), [("soon", "not a number"), ("-1", "more than 0"), ("nan", "more than 0")])
def test_a_duration_that_is_none_is_wrong_usage(start: Start, seconds: str, says: str) -> None:
    one = start(DEMO_SECONDS=seconds)
    assert one.end() == 2
    assert says in one.said
    assert len(one.said.splitlines()) == 1
