"""Homes by a real Mosquitto's log: probes that connect from several addresses, the real collector as a process of its
own, and not one of those addresses in anything that it has written."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from probe.collector import instants
from probe.collector.sqlite_reader import SqliteReader
from probe.model import feed
from probe.model.errors import StoreError
from tests.collector.conftest import ATLAS, Broker, FakeProbe, free_port, until

if TYPE_CHECKING:
    from probe.model.finding import Finding

pytestmark = pytest.mark.loopback
TELLING = "log_dest none\nlog_dest topic\nlog_type notice\nconnection_messages true\n"
ADDRESSES = {"p-attic": "127.77.1.1", "p-cellar": "127.77.1.200", "p-far": "127.77.2.1"}


class Telling(Broker):
    """A broker that tells who connects, as deploy/mosquitto has it."""

    def start(self) -> None:
        self.settings = self.settings.replace("log_type none\n", TELLING)
        super().start()


class Collector:
    """``colibri collector run`` with a log of all it says."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.database, self.log = folder, folder / "store" / "findings.sqlite3", folder / "collector.log"
        config = folder / "collector.toml"
        config.write_text(
            f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n[collector]\ndatabase = "{self.database}"\n'
            f'listen = "127.0.0.1:{free_port()}"\n'
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "probe", "collector", "run", "--config", str(config)],
                stdout=log, stderr=log,
            )  # fmt: skip

    def homes(self) -> dict[str, str]:
        try:
            with closing(sqlite3.connect(self.database)) as db:
                return dict(db.execute("SELECT probe, home FROM homes ORDER BY since"))
        except sqlite3.OperationalError:
            return {}

    def incidents(self) -> list[tuple[int, int, str]]:
        try:
            reader = SqliteReader(str(self.database))
        except StoreError:
            return []
        with closing(reader):
            return [(r.incident.homes, r.incident.heard, r.incident.counted) for r in reader.incidents(10)]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


class Device:
    """A probe's client, at an address of its own; what it sends is counted until the broker has it."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.sent, self.stored = name, 0, set[str]()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(feed.stored(name), qos=1)
        self._client.on_message = lambda _c, _u, m: self.stored.update(msgspec.json.decode(m.payload)["ids"])
        self._client.connect("127.0.0.1", port, bind_address=ADDRESSES[name])
        self._client.loop_start()

    def send(self, findings: list[Finding]) -> None:
        for one in findings:
            self._client.publish(feed.finding(self.name, one.measurement), msgspec.json.encode(one), qos=1)
        until(lambda: self.stored >= {one.id for one in findings}, f"all of {self.name} is stored")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def collector(tmp_path: Path, telling: Telling) -> Iterator[Collector]:
    one = Collector(tmp_path, telling.port)
    yield one
    one.process.kill()
    one.process.wait(10)


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[Telling]:
    broker = Telling(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def connect(telling: Telling) -> Iterator[Callable[[str], Device]]:
    made: list[Device] = []

    def one(name: str) -> Device:
        made.append(Device(name, telling.port))
        return made[-1]

    yield one
    for device in made:
        device.close()


def seen_for_a_day(name: str) -> list[Finding]:
    now = instants.now()
    return [FakeProbe(name, ATLAS, seed=hour).finding("interfered", now - hour * instants.HOUR, signed=False)
            for hour in range(1, 13)]  # fmt: skip



def test_two_probes_behind_one_prefix_open_nothing_until_another_home_sees_it_and_no_address_is_written(
    collector: Collector, telling: Telling, connect: Callable[[str], Device]
) -> None:
    until(lambda: b"connected to broker" in collector.log.read_bytes(), "the collector listens")
    attic, cellar = connect("p-attic"), connect("p-cellar")
    until(lambda: collector.homes().keys() >= {"p-attic", "p-cellar"}, "the broker told of both")
    assert collector.homes()["p-attic"] == collector.homes()["p-cellar"]
    attic.send(seen_for_a_day("p-attic"))
    cellar.send(seen_for_a_day("p-cellar"))
    assert collector.incidents() == []
    far = connect("p-far")
    until(lambda: "p-far" in collector.homes(), "the broker told of the third")
    far.send(seen_for_a_day("p-far"))
    assert collector.incidents() == [(2, 2, "prefix")]
    for device in (attic, cellar, far):
        device._client.publish("colibri/v1/nonsense", b"{", qos=1)  # what is kept aside holds none either
    far.send(seen_for_a_day("p-far")[:1])
    collector.stop()
    telling.stop()
    for path in [path for path in collector.folder.rglob("*") if path.is_file()]:
        assert b"127.77." not in path.read_bytes(), path
    assert collector.database.stat().st_size > 0
    assert collector.process.returncode == 0
