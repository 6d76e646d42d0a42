"""Fake probes that sign what they say, a real Mosquitto on loopback, a store in a temporary directory."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion

from probe.collector import instants
from probe.collector.ingest import judge_message
from probe.collector.keyring import Keyring
from probe.collector.sqlite_reader import SqliteReader
from probe.collector.sqlite_store import SqliteStore
from probe.collector.verdicts import Judged, Outcome
from probe.model import canonical, feed
from probe.model.config import CollectorConfig, Config, MqttConfig
from probe.model.finding import Evidence, Finding, Hop, Interference, Line, Location, Probe, Tally, Target, Verdict

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
PCAPNG = b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00" + b"\xff" * 8 + b"\x1c\x00\x00\x00"

ATLAS = Line("Atlas Telecom", 64501, "MA", "fixed")
FORGED = Interference(
    "dns_injection",
    "on_path",
    Location(4, 5, Hop("198.18.4.1", 64501), Hop("198.18.5.1", 64502), "on the link entering AS64502"),
)


class FakeProbe:
    """One device with a key of its own. ``finding`` makes a signed finding; any field of it may be changed."""

    def __init__(self, name: str, line: Line, seed: int = 0) -> None:
        self.name = name
        self.line = line
        self.random = Random(f"{name}{seed}")
        self.key = Ed25519PrivateKey.from_private_bytes(self.random.randbytes(32))

    def finding(self, verdict: Verdict = "clean", at: int = NOON, *, signed: bool = True, **changes: Any) -> Finding:
        noise = f"{self.random.getrandbits(80):020x}"
        interfered = verdict == "interfered"
        finding = Finding(
            id=f"0195{noise[:4]}-{noise[4:8]}-7{noise[8:11]}-8{noise[11:14]}-{noise[8:20]}",
            measurement="dns_injection",
            version="1",
            probe=Probe(self.name, "colibri 0.1.0"),
            line=self.line,
            target=Target("news.example", "news.example", "", 53, "press"),
            started_at=instants.to_text(at),
            duration_s=2.5,
            clock="synchronised",
            verdict=verdict,
            interference=FORGED if interfered else None,
            rule="dns_injection/answer-from-silent-address" if interfered else "dns_injection/all-answers-agree",
            trials=Tally(3, 3),
            controls=Tally(6, 6),
            confidence=0.97,
            reasons=["An address that runs no resolver answered 3 of 3 questions."] if interfered else ["All agreed."],
            evidence=Evidence(12, hashlib.sha256(PCAPNG).hexdigest() if interfered else "", 9),
            details={},
        )
        finding = msgspec.structs.replace(finding, **changes)
        return canonical.sign(finding, self.key) if signed else finding


@pytest.fixture
def probes() -> Callable[..., FakeProbe]:
    """Make a fake probe: ``probes("p-one")``, on operator Atlas unless a line is given."""

    def make(name: str = "p-one", line: Line = ATLAS, seed: int = 0) -> FakeProbe:
        return FakeProbe(name, line, seed)

    return make


class Desk:
    """Ingest and store without a broker: ``give`` commits messages as one batch and returns the outcomes."""

    def __init__(
        self, path: Path, trusted: dict[str, str] | None = None, control: Collection[str] = (), own_homes: bool = False
    ) -> None:
        self.path = str(path)
        # Long ago nothing was old: what is stored here stays, unless a test says otherwise.
        self.store = SqliteStore(self.path, control=control, own_homes=own_homes, now=lambda: 0)
        self.reader = SqliteReader(self.path)
        self.trusted = trusted or {}

    def give(self, *messages: tuple[str, bytes] | Finding, received_at: int = NOON) -> list[Outcome]:
        keyring = Keyring(self.trusted, self.store.pinned_keys())
        batch = []
        for message in messages:
            topic, payload = message if isinstance(message, tuple) else wire(message)
            batch.append(Judged(topic, payload, received_at, judge_message(topic, payload, received_at, keyring)))
        return self.store.commit(batch)

    def close(self) -> None:
        self.reader.close()
        self.store.close()


def wire(finding: Finding) -> tuple[str, bytes]:
    return feed.finding(finding.probe.id, finding.measurement), msgspec.json.encode(finding)


@pytest.fixture(name="wire")
def wire_fixture() -> Callable[[Finding], tuple[str, bytes]]:
    """Topic and payload of a finding."""
    return wire


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "store" / "findings.sqlite3")
    yield desk
    desk.close()


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Open a desk on a store of the given name; closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(
            name: str, trusted: dict[str, str] | None = None, control: Collection[str] = (), own_homes: bool = False
        ) -> Desk:
            desk = Desk(tmp_path / name, trusted, control, own_homes)
            stack.callback(desk.close)
            return desk

        yield make


@pytest.fixture
def evidence_of() -> Callable[[Finding], tuple[str, bytes]]:
    """Topic and payload of the capture that findings of a fake probe name."""
    return lambda finding: (feed.evidence(finding.probe.id, finding.id), gzip.compress(PCAPNG, mtime=0))


class Broker:
    """A Mosquitto of our own on a free port of 127.0.0.1; ``stop`` and ``start`` as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.settings = (
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "max_queued_messages 0\nmax_inflight_messages 0\nlog_type none\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = self.directory / "mosquitto.conf"
        path.write_text(self.settings)
        self._process = subprocess.Popen(
            [mosquitto(), "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: _listens(self.port), "mosquitto listens")

    def stop(self, hard: bool = False) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self._process.wait(10)
            self._process = None


def mosquitto() -> str:
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert path, "mosquitto is not installed: apt-get install mosquitto"
    return path


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(0.2)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def until(true: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait for something that another process or thread does; fails with ``what`` when it never happens."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"never happened: {what}")
        time.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    return until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


class Uplink:
    """The MQTT side of fake probes: publishes, and remembers every ``stored`` answer."""

    def __init__(self, port: int) -> None:
        self.answers: list[feed.Stored] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "fake-probes", protocol=mqtt.MQTTv5)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{feed.ROOT}/+/stored", qos=1)
        self._client.on_message = lambda _c, _u, m: self.answers.append(
            msgspec.json.decode(m.payload, type=feed.Stored)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(self._client.is_connected, "fake probes are connected")

    @property
    def stored(self) -> list[str]:
        return [finding_id for answer in self.answers for finding_id in answer.ids]

    @property
    def refused(self) -> dict[str, str]:
        return {finding_id: why for answer in self.answers for finding_id, why in answer.refused.items()}

    def connected(self) -> bool:
        return self._client.is_connected()

    def send(self, *findings: Finding) -> None:
        for finding in findings:
            self.publish(*wire(finding))

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def uplink(broker: Broker) -> Iterator[Uplink]:
    uplink = Uplink(broker.port)
    yield uplink
    uplink.close()


@pytest.fixture
def settings(tmp_path: Path, broker: Broker) -> Config:
    """A collector's configuration for the broker of this test."""
    return Config(
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        collector=CollectorConfig(
            database=str(tmp_path / "findings.sqlite3"), listen=f"127.0.0.1:{free_port()}", consents=["p-one", "p-rif"]
        ),
    )


class Process:
    """A Python program of the test's own, killed at the end whatever happens."""

    def __init__(self, script: str, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, wait; returns the exit status and what was written to standard error."""
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, errors = self.popen.communicate(timeout=30)  # a second time: what the first one read
        return self.popen.returncode, errors.decode()


@pytest.fixture
def processes() -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def start(script: str, *arguments: str) -> Process:
        running.append(Process(script, *arguments))
        return running[-1]

    yield start
    for process in running:
        process.popen.kill()  # does nothing to one that has ended
        process.wait()
