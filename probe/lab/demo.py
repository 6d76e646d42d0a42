"""The main job in one command: a lab, a real Mosquitto, the collector with its monitor, and a probe on every line."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from probe.lab.demo_table import Row, table
from probe.lab.files import config_text, targets_text
from probe.lab.lab import Lab
from probe.lab.namespaces import Namespace
from probe.lab.relay import Relay
from probe.lab.scenario import Scenario
from probe.model.config import CollectorConfig, Config, ControlConfig, MqttConfig, ProbeConfig, ScheduleConfig, TargetsConfig
from probe.model.errors import CannotMeasure

_READY_WITHIN = 20.0
_MEASURE_EVERY = 20.0
_MONITOR_PORT = 8080
_PR_SET_PDEATHSIG = 1
_ACL = """\
user collector
topic read colibri/v1/#
pattern write colibri/v1/+/stored
topic write colibri/v1/+/stored
topic write colibri/v1/public/#
"""

Tell = Callable[[str], None]


async def run(scenario: Scenario, seconds: float | None, tell: Tell) -> list[Row]:
    """Run the demo until ``seconds`` are over (None: until Ctrl-C); returns what each line measured, beside the truth.

    Raises CannotMeasure where a part does not start. Leaves nothing behind: files are in a folder that is removed, and
    children die with this process, however it ends.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="colibri-demo-")))
        lab = stack.enter_context(Lab.up(scenario))
        tell(f"the lab is up: {scenario.description}")
        parts = _Parts(folder)
        stack.callback(parts.stop)
        accounts = {operator: secrets.token_hex(16) for operator in ("collector", *lab.homes)}
        broker = _broker(parts, folder, accounts)
        relay = Relay(broker)
        try:
            monitor = _collector(parts, folder, broker)
            tell(f"the monitor: {monitor}")
            for operator in lab.homes:
                await _probe(parts, folder, lab, operator, relay)
            tell(f"a probe on each line: {', '.join(lab.homes)}; findings as they arrive:")
            return await _follow(parts, monitor, lab, seconds, tell)
        finally:
            await relay.close()


class _Parts:
    """The child processes; each writes to a log of its own, whose end is shown if it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str]) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )

    def check(self) -> None:
        """Raise CannotMeasure if a part has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise CannotMeasure(f"{name} ended with status {process.returncode}: {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        text = (self._folder / f"{name}.log").read_text("utf-8", errors="replace").strip()
        return " / ".join(text.splitlines()[-3:]) or "it said nothing"

    def stop(self) -> None:
        for process in reversed(self._running.values()):
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        for process in reversed(self._running.values()):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _die_with_parent() -> None:
    # Also keeps Ctrl-C for the parent alone, which then ends the parts in their order.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _broker(parts: _Parts, folder: Path, accounts: dict[str, str]) -> int:
    """A Mosquitto on loopback: accounts with passwords, and an ACL that lets a probe write below its own name only."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    hasher = shutil.which("mosquitto_passwd")
    if program is None or hasher is None:
        raise CannotMeasure("Mosquitto is not installed", "apt-get install mosquitto")
    port = _free_port()
    passwords = folder / "passwords"
    passwords.touch(0o600)
    for name, secret in accounts.items():
        subprocess.run([hasher, "-b", passwords, name, secret], check=True, capture_output=True)
        (folder / f"{name}.password").write_text(secret + "\n")
    (folder / "acl").write_text(_ACL + "pattern write colibri/v1/%u/#\npattern read colibri/v1/%u/#\n")
    config = folder / "mosquitto.conf"
    config.write_text(
        f"user root\npersistence false\nlistener {port} 127.0.0.1\nallow_anonymous false\n"
        f"password_file {passwords}\nacl_file {folder / 'acl'}\nmax_inflight_messages 0\nmax_queued_messages 0\n"
    )
    parts.start("mosquitto", [program, "-c", str(config)])
    _wait(parts, lambda: _listens(port), "mosquitto")
    return port


def _collector(parts: _Parts, folder: Path, broker: int) -> str:
    port = _MONITOR_PORT if _is_free(_MONITOR_PORT) else _free_port()
    config = Config(
        mqtt=MqttConfig(
            host="127.0.0.1", port=broker, username="collector", password_file=str(folder / "collector.password")
        ),
        collector=CollectorConfig(database=str(folder / "findings.sqlite3"), listen=f"127.0.0.1:{port}"),
    )
    path = folder / "collector.toml"
    path.write_text(config_text(config), "utf-8")
    parts.start("collector", [sys.executable, "-m", "probe", "collector", "run", "--config", str(path)])
    address = f"http://127.0.0.1:{port}/"
    _wait(parts, lambda: _get(address + "healthz") is not None, "collector")
    return address


async def _probe(parts: _Parts, folder: Path, lab: Lab, operator: str, relay: Relay) -> None:
    """A daemon inside the home; only its connection to the broker leaves the lab, through the relay."""
    namespace = Namespace.open(operator, lab.homes[operator].netns_path)
    try:
        port = await relay.open(namespace)
    finally:
        namespace.close()
    targets = folder / f"{operator}-targets.toml"
    targets.write_text(targets_text(lab.targets(operator)), "utf-8")
    state = folder / operator
    state.mkdir(mode=0o700)
    config = msgspec.structs.replace(
        lab.config(operator),
        probe=ProbeConfig(id=operator, state_dir=str(state)),
        schedule=ScheduleConfig(every=_MEASURE_EVERY, jitter=0.1),
        mqtt=MqttConfig(host="127.0.0.1", port=port, password_file=str(folder / f"{operator}.password")),
        control=ControlConfig(socket=str(state / "control.sock"), group=""),
        targets=TargetsConfig(files=[str(targets)]),
    )
    path = folder / f"{operator}.toml"
    path.write_text(config_text(config), "utf-8")
    with lab.enter(operator):
        parts.start(operator, [sys.executable, "-m", "probe", "run", "--config", str(path)])


async def _follow(parts: _Parts, monitor: str, lab: Lab, seconds: float | None, tell: Tell) -> list[Row]:
    """Tell each finding once; returns the last one of each line, target and measurement, beside the truth."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    seen: set[str] = set()
    last: dict[tuple[str, str, str], dict[str, Any]] = {}
    end = None if seconds is None else loop.time() + seconds
    while not stopped.is_set() and (end is None or loop.time() < end):
        parts.check()
        for finding in await asyncio.to_thread(_fresh, monitor, seen):
            key = finding["probe"]["id"], finding["measurement"], finding["target"]["input"]
            last[key] = finding
            tell(_line(finding))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 1.0)
    return [Row.of(expected, last.get((expected.operator, expected.measurement, expected.target)), lab) for expected in lab.state.scenario.expect]


def _fresh(monitor: str, seen: set[str]) -> Iterator[dict[str, Any]]:
    listing = _get(monitor + "api/findings?limit=200") or {"findings": []}
    fresh = [row["id"] for row in listing["findings"] if row["id"] not in seen]
    found = []
    for identifier in reversed(fresh):
        finding = _get(f"{monitor}api/finding/{identifier}")
        if finding is not None:
            seen.add(identifier)
            found.append(finding)
    return iter(found)


def _line(finding: dict[str, Any]) -> str:
    interference = finding["interference"] or {}
    location = (interference.get("location") or {}).get("attribution", "")
    what = " ".join(filter(None, (interference.get("technique", ""), location)))
    return (
        f"{finding['started_at'][11:19]}  {finding['probe']['id']:<7} {finding['measurement']:<14} "
        f"{finding['target']['input']:<28} {finding['verdict']:<13} {what}"
    ).rstrip()


def _get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback
            return json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return None


def _wait(parts: _Parts, ready: Callable[[], bool], name: str) -> None:
    end = time.monotonic() + _READY_WITHIN
    while not ready():
        parts.check()
        if time.monotonic() > end:
            raise CannotMeasure(f"{name} is not ready after {_READY_WITHIN:.0f} s")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


__all__ = ["Row", "run", "table"]
