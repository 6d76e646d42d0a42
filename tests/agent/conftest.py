"""A real Mosquitto on loopback, a collector that answers ``stored``, and findings to publish."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from probe.model import feed
from probe.model.finding import Evidence, Finding, Line, Probe, Tally, Target, Verdict

if TYPE_CHECKING:
    from tests.collector.enrol.server import Server

PROBE = "p-testprobe00"


def eventually(condition: Callable[[], object], within: float = 15.0, what: str = "") -> None:
    """Wait until the condition holds; fail if it does not in time."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s: {what or condition}"
        time.sleep(0.02)


async def until(condition: Callable[[], object], within: float = 15.0) -> None:
    """As :func:`eventually`, without blocking the event loop."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s: {condition}"
        await asyncio.sleep(0.01)  # what is waited for happens in another thread or process


class Broker:
    """A Mosquitto of the test's own, that can be stopped and started again on the same port."""

    def __init__(self, folder: Path, extra: str = "", listener: str = "allow_anonymous true\n") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"user root\npersistence false\n{extra}\nlistener {self.port} 127.0.0.1\n{listener}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen(
            [program, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._listens, what="mosquitto listens")

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "mosquitto ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path)
    one.start()
    yield one
    one.stop()


class FakeCollector:
    """Commits findings to SQLite, then answers ``stored``; comes back by itself when the broker does."""

    def __init__(self, folder: Path, port: int) -> None:
        self.answers = True
        self.topics: list[tuple[str, bytes, bool]] = []
        self.properties: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "collector.sqlite3", check_same_thread=False)
        self._db.execute("CREATE TABLE finding (id TEXT PRIMARY KEY, json BLOB)")
        self.arrivals: list[str] = []
        self._client = Client(CallbackAPIVersion.VERSION2, "collector", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("colibri/v1/#", qos=1)
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        eventually(self._client.is_connected, what="the collector is connected")

    def _on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        with self._lock:
            self.topics.append((message.topic, bytes(message.payload), message.retain))
            self.properties[message.topic] = message.properties
            parts = message.topic.split("/")
            if parts[3] not in ("finding", "heartbeat") or not self.answers:
                return
            finding_id = msgspec.json.decode(message.payload)["id"]
            if parts[3] == "finding":
                self.arrivals.append(finding_id)
                row = (finding_id, message.payload)
                self._db.execute("INSERT INTO finding VALUES (?, ?) ON CONFLICT DO NOTHING", row)
                self._db.commit()
        client.publish(feed.stored(parts[2]), msgspec.json.encode(feed.Stored(ids=[finding_id])), qos=1)

    def stored(self) -> dict[str, bytes]:
        """The findings that were committed: id → JSON."""
        with self._lock:
            return dict(self._db.execute("SELECT id, json FROM finding").fetchall())

    def on(self, topic: str) -> list[bytes]:
        """Payloads that arrived on a topic."""
        with self._lock:
            return [payload for t, payload, _ in self.topics if t == topic]

    def say(self, topic: str, payload: bytes) -> None:
        """Publish something as the collector."""
        self._client.publish(topic, payload, qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._db.close()


@pytest.fixture
def collector(tmp_path: Path, broker: Broker) -> Iterator[FakeCollector]:
    one = FakeCollector(tmp_path, broker.port)
    yield one
    one.close()


def make_finding(number: int, verdict: Verdict = "clean", target: str = "example.com", **changes: Any) -> Finding:
    """A finding; its id tells its number."""
    finding = Finding(
        id=f"01900000-0000-7000-8000-{number:012}",
        measurement="dns_injection",
        version="1",
        probe=Probe(PROBE, "colibri test"),
        line=Line("Operator A", 64500, "MA", "fixed"),
        target=Target(target),
        started_at=f"2026-01-01T00:00:{number % 60:02}.000Z",
        duration_s=1.0,
        clock="synchronised",
        verdict=verdict,
        interference=None,
        rule="test/rule",
        trials=Tally(3, 3),
        controls=Tally(2, 2),
        confidence=1.0,
        reasons=["because"],
        evidence=Evidence(),
        details={},
    )
    return msgspec.structs.replace(finding, **changes)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real enrolment server."""
    from tests.collector.enrol.server import Server  # for those alone who enrol

    one = Server(tmp_path_factory.mktemp("enrol"))
    yield one
    one.close()
