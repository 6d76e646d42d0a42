"""The main job in one command: a lab, a real Mosquitto, the collector with its monitor, and a probe on every line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from probe.lab import broker, state
from probe.lab.demo_table import Row, table
from probe.lab.files import config_text, targets_text
from probe.lab.lab import Lab
from probe.lab.namespaces import Namespace, raise_loopback
from probe.lab.parts import Parts
from probe.lab.relay import Relay
from probe.lab.scenario import Scenario
from probe.model.config import (
    CollectorConfig,
    Config,
    ControlConfig,
    MqttConfig,
    ProbeConfig,
    ScheduleConfig,
    TargetsConfig,
)
from probe.model.errors import CannotMeasure
from probe.model.finding import Finding

_READY_WITHIN = 30.0
_MEASURE_EVERY = 20.0
_MONITOR_PORT = 8080
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FOLDER = re.compile(r"demo\.(\d+)\.(\d+)")  # process, and when it started: nobody else is meant

Tell = Callable[[str], None]


class _StopError(Exception):
    """Ctrl-C while the demo was still being raised."""


async def run(scenario: Scenario, seconds: float | None, tell: Tell, *, until_complete: bool = False) -> list[Row]:
    """Run the demo until ``seconds`` are over, every row is measured (``until_complete``), or Ctrl-C.

    Returns what each line measured, beside the truth; nothing if Ctrl-C came before all was up. Raises CannotMeasure
    where a part does not start, or ends. It leaves no process and no namespace, however it ends; and no file, except
    that of a demo that was killed the next one takes the folder away.
    """
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(_signals())
        raise_loopback()
        folder = stack.enter_context(_folder())
        usual = stack.enter_context(_usual_port())
        try:
            lab = stack.enter_context(Lab.up(scenario))
            stop.check()
            tell(f"the lab is up: {scenario.description}")
            parts = Parts(folder)
            stack.callback(parts.stop)
            relay, monitor = await _raise(parts, folder, lab, usual, stop, tell)
        except (_StopError, CannotMeasure):
            if stop.asked:  # the same Ctrl-C may have met a child before it had a session of its own
                return []
            raise
        try:
            return await _follow(parts, monitor, lab, seconds, tell, stop, until_complete=until_complete)
        finally:
            await relay.close()


class _Stop:
    """Whether we were told to end. A flag, so that no signal interrupts what cleans up."""

    def __init__(self) -> None:
        self.asked = False
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def ask(self, *_: object) -> None:
        """The signal handler; it also runs while the event loop is busy elsewhere."""
        self.asked = True
        self._loop.call_soon_threadsafe(self._event.set)

    def check(self) -> None:
        if self.asked:
            raise _StopError

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


@contextlib.contextmanager
def _signals() -> Iterator[_Stop]:
    stop = _Stop()
    before = {number: signal.signal(number, stop.ask) for number in _ENDS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder of our own, for as long as we live; what a killed demo left is removed."""
    home = state.folder()
    for left in home.iterdir():
        named = _FOLDER.fullmatch(left.name)
        if named and state.start_time(int(named[1])) != int(named[2]):
            shutil.rmtree(left, ignore_errors=True)
    folder = home / f"demo.{os.getpid()}.{state.start_time(os.getpid())}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _usual_port() -> Iterator[int]:
    """The port that the monitor is to have if it is free; 0 (any) while another demo of this network has that one: it
    may not listen there yet. Who has it shows by a name of the network's own (unix(7), abstract)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mark:
        try:
            mark.bind(f"\0colibri-demo-{_MONITOR_PORT}")
        except OSError:
            yield 0
        else:
            yield _MONITOR_PORT


async def _raise(
    parts: Parts, folder: Path, lab: Lab, usual: int, stop: _Stop, tell: Tell
) -> tuple[Relay, str]:
    """Start broker, collector and probes; the probes' way out of the lab, and the monitor's address."""
    port = broker.free_port()
    accounts = {name: secrets.token_hex(16) for name in ("collector", *lab.homes)}
    for name, secret in accounts.items():
        (folder / f"{name}.password").write_text(secret + "\n", "utf-8")
    parts.start("mosquitto", broker.prepare(folder, accounts, port))
    await _ready(parts, lambda: broker.listens(port), "mosquitto", stop)
    monitor = _collector(parts, folder, port, usual, list(lab.homes))
    await _ready(parts, lambda: _get(monitor + "healthz") is not None, "the collector", stop)
    tell(f"the monitor: {monitor}")
    relay = Relay(port)
    try:
        for operator in lab.homes:
            await _probe(parts, folder, lab, operator, relay)
            stop.check()
    except BaseException:
        await relay.close()
        raise
    tell(f"a probe on each line: {', '.join(lab.homes)}; findings as they arrive (Ctrl-C ends):")
    return relay, monitor


def _collector(parts: Parts, folder: Path, port: int, usual: int, probes: list[str]) -> str:
    listen = f"127.0.0.1:{broker.free_port(usual)}"
    config = Config(
        mqtt=MqttConfig(
            host="127.0.0.1", port=port, username="collector", password_file=str(folder / "collector.password")
        ),
        # A line has one probe here; all "agreed", so that the API and the public topics have something to tell.
        collector=CollectorConfig(database=str(folder / "findings.sqlite3"), listen=listen, consents=probes),
    )
    path = folder / "collector.toml"
    path.write_text(config_text(config), "utf-8")
    parts.start("collector", [sys.executable, "-m", "probe", "collector", "run", "--config", str(path)])
    return f"http://{listen}/"


async def _probe(parts: Parts, folder: Path, lab: Lab, operator: str, relay: Relay) -> None:
    """A daemon inside the home; only its connection to the broker leaves the lab, through the relay."""
    namespace = Namespace.open(operator, lab.homes[operator].netns_path)
    try:
        port = await relay.open(namespace)
    finally:
        namespace.close()
    targets = folder / f"{operator}-targets.toml"
    targets.write_text(targets_text(lab.targets(operator)), "utf-8")
    home = folder / operator
    home.mkdir(mode=0o700)
    config = msgspec.structs.replace(
        lab.config(operator),
        probe=ProbeConfig(id=operator, state_dir=str(home)),
        schedule=ScheduleConfig(every=_MEASURE_EVERY, jitter=0.1),
        mqtt=MqttConfig(host="127.0.0.1", port=port, password_file=str(folder / f"{operator}.password")),
        control=ControlConfig(socket=str(home / "control.sock"), group=""),
        targets=TargetsConfig(files=[str(targets)]),
    )
    path = folder / f"{operator}.toml"
    path.write_text(config_text(config), "utf-8")
    with lab.enter(operator):
        parts.start(operator, [sys.executable, "-m", "probe", "run", "--config", str(path)])


async def _ready(parts: Parts, ready: Callable[[], bool], name: str, stop: _Stop) -> None:
    end = asyncio.get_running_loop().time() + _READY_WITHIN
    while not ready():
        stop.check()
        parts.check()
        if asyncio.get_running_loop().time() > end:
            raise CannotMeasure(f"{name} is not ready after {_READY_WITHIN:.0f} s")
        await stop.wait(0.05)


async def _follow(
    parts: Parts, monitor: str, lab: Lab, seconds: float | None, tell: Tell, stop: _Stop, *, until_complete: bool
) -> list[Row]:
    """Tell each finding once; the last one of each line, target and measurement, beside the truth."""
    loop = asyncio.get_running_loop()
    seen: set[str] = set()
    last: dict[tuple[str, str, str], Finding] = {}
    end = None if seconds is None else loop.time() + seconds
    while True:
        if not stop.asked:
            parts.check()
        if not stop.asked and state.read(lab.state.name) is None:
            raise CannotMeasure("the lab's process has ended")
        for finding in await asyncio.to_thread(_fresh, monitor, seen):
            last[finding.probe.id, finding.measurement, finding.target.input] = finding
            tell(_line(finding))
        rows = [Row.of(e, last.get((e.operator, e.measurement, e.target)), lab) for e in lab.state.scenario.expect]
        complete = until_complete and all(row.right is not None for row in rows)
        if stop.asked or complete or (end is not None and loop.time() >= end):
            return rows
        await stop.wait(1.0 if end is None else max(0.0, min(1.0, end - loop.time())))


def _fresh(monitor: str, seen: set[str]) -> list[Finding]:
    """Findings that the monitor has and we did not tell yet, oldest first."""
    listing = _get(monitor + "api/findings?limit=200") or {"findings": []}
    fresh = []
    for identifier in [row["id"] for row in reversed(listing["findings"]) if row["id"] not in seen]:
        found = _get(f"{monitor}api/finding/{identifier}")
        if found is not None:
            seen.add(identifier)
            fresh.append(msgspec.convert(found, Finding))
    return fresh


def _line(finding: Finding) -> str:
    interference = finding.interference
    place = interference.location.attribution if interference and interference.location else ""
    return (
        f"{finding.started_at[11:19]}  {finding.probe.id:<7} {finding.measurement:<14} {finding.target.input:<28} "
        f"{finding.verdict:<13} {interference.technique if interference else ''} {place}"
    ).rstrip()


def _get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback
            return msgspec.json.decode(answer.read())
    except (OSError, msgspec.DecodeError, urllib.error.URLError):
        return None


__all__ = ["Row", "run", "table"]
