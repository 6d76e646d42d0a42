"""The daemon as a process: signals, reload, death, systemd, and the big one: nothing lost, nothing twice."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from probe.agent.enrol_files import Membership, dates
from probe.agent.spool import Spool
from probe.model import enrol, feed
from tests.agent.conftest import PROBE, Broker, FakeCollector, eventually
from tests.deploy.test_broker import Town

pytestmark = pytest.mark.loopback

PROGRAM = Path(__file__).with_name("fake_daemon.py")


class Daemon:
    """A daemon process, its configuration and its manager's datagram socket."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.config = folder, folder / "colibri.toml"
        self.settings = (
            f'[probe]\nid = "{PROBE}"\nstate_dir = "{folder}/state"\n[safety]\ntarget_spacing = 0.0\n'
            f'[schedule]\nevery = 1.0\n[control]\nsocket = "{folder}/control"\n'
            f'[targets]\nfiles = ["{folder}/targets"]\n'
        )
        if port:
            self.settings += f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nresend_after = 1.0\n'
        self.config.write_text(self.settings)
        self.targets("a", "b")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self._heard: queue.Queue[list[str]] = queue.Queue()
        # systemd reads at once; a socket that nobody reads fills up, and then sd_notify blocks.
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        self.process: subprocess.Popen[bytes] | None = None
        self.made = folder / "made"

    def targets(self, *names: str) -> None:
        entry = '[[targets]]\ntarget = "{}"\nmeasurements = ["dns_injection"]\n'
        (self.folder / "targets").write_text("".join(map(entry.format, names)))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "300000"}
        with self.made.open("ab") as made, (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-W", "error", str(PROGRAM), str(self.config), *arguments]
            self.process = subprocess.Popen(command, stdout=made, stderr=log, env=environment)
        return self.process

    def hear(self, word: str) -> list[str]:
        """Wait for a message that holds a line beginning with the word; its lines."""
        end = time.monotonic() + 15
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                lines = self._heard.get(timeout=0.2)
                if any(line.startswith(word) for line in lines):
                    return lines
        raise AssertionError(f"systemd never heard {word}: {self.log()}")

    def _listen(self) -> None:
        while message := self.manager.recv(8192):
            self._heard.put(message.decode().splitlines())

    def close(self) -> None:
        """Kill what still runs."""
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.folder / "notify"))
        self._listener.join(10)
        self.manager.close()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(15)

    def shown(self) -> set[str]:
        """Ids of the findings that the daemon has made, which means: that are in its spool."""
        return set(self.made.read_text().split()) if self.made.exists() else set()

    def spooled(self) -> set[str]:
        """Ids of the findings that wait on the disk once the daemon has ended."""
        spool = Spool(self.folder / "state/spool.sqlite3", 1 << 30)
        try:
            return {entry.id for entry in spool.pending(1000, math.inf)}
        finally:
            spool.close()

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    one = Town(tmp_path / "town")
    yield one
    one.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path)
    yield one
    one.close()


def test_systemd_hears_the_start_progress_and_a_clean_stop(daemon: Daemon) -> None:
    process = daemon.start()
    assert any("2 measurements planned" in line for line in daemon.hear("READY=1"))
    daemon.hear("WATCHDOG=1")
    eventually(lambda: len(daemon.shown()) >= 4)
    process.send_signal(signal.SIGTERM)
    daemon.hear("STOPPING=1")
    assert process.wait(15) == 0
    assert "Traceback" not in daemon.log()


def test_a_reload_takes_the_new_file_and_never_an_invalid_one(daemon: Daemon) -> None:
    process = daemon.start()
    daemon.hear("READY=1")
    daemon.config.write_text(daemon.settings + "[mqqt]\n")
    process.send_signal(signal.SIGHUP)
    assert daemon.hear("RELOADING=1")[1].startswith("MONOTONIC_USEC=")
    status = daemon.hear("READY=1")[1]
    assert "new configuration refused" in status
    assert "mqqt: there is no such option" in status
    before = len(daemon.shown())
    eventually(lambda: len(daemon.shown()) > before + 1, what="it goes on with the former configuration")
    daemon.config.write_text(daemon.settings)
    daemon.targets("a", "b", "c")
    process.send_signal(signal.SIGHUP)
    daemon.hear("RELOADING=1")
    assert "3 measurements planned" in daemon.hear("READY=1")[1]
    assert daemon.end() == 0


def test_a_new_file_that_cannot_be_started_with_gives_way_to_the_former(daemon: Daemon) -> None:
    process = daemon.start()
    daemon.hear("READY=1")
    (daemon.folder / "file").write_text("")
    daemon.config.write_text(daemon.settings.replace("/state", "/file/x"))
    process.send_signal(signal.SIGHUP)
    daemon.hear("RELOADING=1")
    assert "2 measurements planned" in daemon.hear("READY=1")[1]
    assert "the former comes back into force" in daemon.log()
    before = len(daemon.shown())
    eventually(lambda: len(daemon.shown()) > before)
    assert daemon.end() == 0


def test_a_dead_part_ends_the_process_with_its_reason(daemon: Daemon) -> None:
    (daemon.folder / "state").mkdir()
    key = daemon.folder / "state" / "device-key.pem"
    key.write_text("damaged")
    process = daemon.start()
    daemon.hear("READY=1")
    assert f"STATUS=the worker died: ConfigError: {key}: is not an Ed25519 key" in daemon.hear("STOPPING=1")[1]
    assert process.wait(15) == 1
    assert "CRITICAL probe.agent.daemon: the worker died" in daemon.log()
    key.unlink()
    daemon.start()  # as systemd would
    eventually(lambda: len(daemon.shown()) >= 1)
    assert daemon.end() == 0


def test_a_bad_configuration_at_the_start_is_one_line_and_status_2(daemon: Daemon) -> None:
    daemon.config.write_text("[mqtt]\nport = 'x'\n")
    assert daemon.start().wait(15) == 2
    assert daemon.log() == f"{daemon.config}: mqtt.port: Expected `int`, got `str`\n"


def test_once_measures_everything_and_ends(daemon: Daemon) -> None:
    daemon.targets("a", "b", "fails")
    assert daemon.start("once").wait(30) == 0
    assert len(daemon.shown()) == 2


def test_once_with_nothing_measured_is_status_1(daemon: Daemon) -> None:
    daemon.targets("fails")
    assert daemon.start("once").wait(30) == 1
    assert "nothing could be measured" in daemon.log()
    daemon.targets()
    assert daemon.start("once").wait(30) == 1
    assert "there is nothing to measure (name a target list in [targets] files)" in daemon.log()


def test_once_waits_for_the_collector(daemon: Daemon, broker: Broker, collector: FakeCollector) -> None:
    daemon.config.write_text(daemon.settings + f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n')
    assert daemon.start("once").wait(30) == 0
    assert collector.stored().keys() == daemon.shown()
    assert collector.on(feed.availability(PROBE))[-1] == b"offline"


def outage(folder: Path, broker: Broker, collector: FakeCollector, down: float) -> None:
    """The broker is stopped for a while, the daemon killed during it, both come back: each finding arrives, once."""
    daemon = Daemon(folder, broker.port)
    daemon.targets(*(f"target-{n}" if n % 3 else f"interfered-{n}" for n in range(12)))
    try:
        daemon.start()
        eventually(lambda: len(collector.stored()) >= 12, 30)
        broker.stop(signal.SIGKILL)
        at_the_outage = daemon.shown()
        time.sleep(down / 2)
        eventually(lambda: len(daemon.shown()) >= len(at_the_outage) + 6)
        daemon.end(signal.SIGKILL)
        daemon.start()
        time.sleep(down / 2)
        eventually(lambda: len(daemon.shown() - at_the_outage) >= 12, 30)
        assert daemon.shown() - collector.stored().keys(), "nothing waited for the broker: this proves nothing"
        broker.start()
        eventually(lambda: daemon.shown() <= collector.stored().keys(), 60, "all arrive")
        assert daemon.end() == 0
    finally:
        daemon.close()
    made, stored = daemon.shown(), collector.stored()
    # What was made between the last look and the end waits on the disk for the next start: nothing is lost.
    assert made - stored.keys() <= daemon.spooled()
    # What was spooled and then killed before it could be shown may arrive as well; nothing else.
    assert len(stored.keys() - made) <= 2 * 2
    for finding_id, body in stored.items():
        decoded = json.loads(body)
        assert decoded["id"] == finding_id
        msgspec.convert(decoded["reasons"], list[str])
    interfered = {i for i, body in stored.items() if json.loads(body)["verdict"] == "interfered"}
    assert interfered
    for finding_id in interfered:
        assert collector.on(feed.evidence(PROBE, finding_id)), f"no evidence of {finding_id}"


def test_broker_stopped_and_daemon_killed_meanwhile_every_finding_arrives_once(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    outage(tmp_path, broker, collector, down=2.0)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_broker_stopped_for_a_minute_and_daemon_killed_meanwhile(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    outage(tmp_path, broker, collector, down=60.0)

WAKE_UPS = 12.0
"""Most a minute of the idle daemon: a board that is woken more often never sleeps deeply."""


def idle(folder: Path, seconds: float, ready: Callable[[str], object]) -> float:
    """How often a minute the real daemon wakes up that has nothing to measure, as systemd runs it, in so many seconds
    after its log has what ``ready`` looks for. The dialling threads are counted, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (folder / "log").open("wb") as log:
        manager.bind(str(folder / "notify"))
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "120000000"}
        command = [sys.executable, "-m", "probe", "run", "--config", str(folder / "colibri.toml")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            eventually(lambda: ready((folder / "log").read_text()), 60, "the daemon is ready")
            time.sleep(5)
            before, since = switches(process.pid), time.monotonic()
            time.sleep(seconds)
            taken = time.monotonic() - since
        finally:
            process.kill()
            # Its threads' own counts end with them; what is left to whoever waits for a process is the sum.
            _, _, used = os.wait4(process.pid, 0)
            process.returncode = -signal.SIGKILL
    return (used.ru_nvcsw - before) * 60 / taken


def switches(pid: int) -> int:
    """How often the threads that a process has now went to sleep so far."""
    states = [(one / "status").read_text() for one in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(line.split()[1]) for state in states for line in state.splitlines() if line.startswith("voluntary"))


@pytest.mark.long
@pytest.mark.parametrize("broker_is", ["there", "away"])
def test_the_idle_daemon_lets_the_board_sleep(tmp_path: Path, town: Town, broker_is: str) -> None:
    """An enrolled probe, over TLS with its certificate, for three minutes."""
    town.join("p-one", days=30)
    if broker_is == "away":
        town.broker.stop()
    files = tmp_path / "state/enrol"
    files.mkdir(parents=True)
    pem, key = ((town.folder / f"p-one.{kind}").read_bytes() for kind in ("pem", "key"))
    (files / "identity.pem").write_bytes(pem + key)
    (files / "authority.pem").write_text(town.authority.pem)
    member = Membership("p-one", "https://localhost:1", enrol.Broker("localhost", town.broker.port), *dates(pem, "it"))
    (files / "enrolled.json").write_bytes(msgspec.json.encode(member))
    (tmp_path / "colibri.toml").write_text(
        f'[probe]\nstate_dir = "{tmp_path}/state"\n[control]\nsocket = "{tmp_path}/control"\ngroup = ""\n'
    )
    word = "connected to the broker" if broker_is == "there" else "no connection to the broker"
    rate = idle(tmp_path, 180, lambda log: word in log)
    print(f"idle daemon, broker {broker_is}: {rate:.1f} wake-ups a minute")
    assert rate <= WAKE_UPS
