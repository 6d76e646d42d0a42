"""The whole process: starts, serves, streams, ends cleanly, and says why it can't."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import instants, service
from probe.collector.subscriber import wall_clock
from probe.model.config import CollectorConfig, Config, CounterConfig, MqttConfig, NtfyConfig, SafetyConfig
from probe.model.errors import ConfigError, StoreError
from probe.model.finding import Target
from tests.collector.web import serving

if TYPE_CHECKING:
    from tests.collector.conftest import Broker, FakeProbe, Process, Uplink

SERVE = """
import sys
import msgspec
from probe.collector import service
from probe.model.config import Config
from probe.model.errors import ColibriError
try:
    sys.exit(service.run(msgspec.json.decode(sys.argv[1], type=Config), lambda: print("ready", flush=True)))
except ColibriError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""

LOOK = """
from probe.collector.counters import polite
from probe.collector.notify import desk
desk.LOOK, polite.SPACING = 0.1, 0
"""

Probes = Callable[..., "FakeProbe"]
Until = Callable[..., None]


class Http:
    """A few requests to the monitor."""

    def __init__(self, config: Config) -> None:
        self.host, _, port = config.collector.listen.rpartition(":")
        self.port = int(port)

    def get(self, path: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=10)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def health(self) -> dict[str, Any]:
        try:
            health: dict[str, Any] = json.loads(self.get("/healthz")[1])
        except OSError:
            return {}
        return health


class Stream:
    """A viewer: reads events off one connection."""

    def __init__(self, http_: Http, after: int = 0, resume: int | None = None) -> None:
        self._connection = http.client.HTTPConnection(http_.host, http_.port, timeout=15)
        headers = {"Last-Event-ID": str(resume)} if resume is not None else {}
        self._connection.request("GET", f"/en/events?after={after}", headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.headers["content-type"].startswith("text/event-stream")

    def event(self) -> dict[str, str]:
        """The next event; empty at the end of the stream."""
        fields: dict[str, str] = {}
        while line := self._response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name and value:
                fields[name] = value
            elif "event" in fields:
                return fields
        return {}

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def running(settings: Config, processes: Callable[..., Process], until: Until, uplink: Uplink) -> tuple[Process, Http]:
    process = processes(SERVE, msgspec.json.encode(settings).decode())
    monitor = Http(settings)
    until(lambda: monitor.health().get("status") == "ok", "the collector serves and is subscribed")
    return process, monitor


@pytest.mark.loopback
def test_from_the_feed_to_the_page_and_the_stream(
    running: tuple[Process, Http], uplink: Uplink, probes: Probes, until: Until
) -> None:
    process, monitor = running
    with closing(Stream(monitor)) as viewer:
        probe = probes()
        finding = probe.finding("interfered", wall_clock())
        uplink.send(finding)
        event = viewer.event()
        assert event["event"] == "cell"
        assert "Forged DNS answers" in json.loads(event["data"])["html"]
        assert viewer.event()["event"] == "summary"
        until(lambda: uplink.stored == [finding.id], "answered")
        assert b"Interference on 1 of 1 operator now" in monitor.get("/en/")[1]
        seen = int(event["id"])
    uplink.send(probe.finding("clean", wall_clock(), target=Target("shop.example")))
    until(lambda: len(uplink.stored) == 2, "the second one is stored while nobody watches")
    with closing(Stream(monitor, after=0, resume=seen)) as back:
        event = back.event()
        assert int(event["id"]) == seen + 1
        assert "No interference" in json.loads(event["data"])["html"]
    assert process.stop()[0] == 0


@pytest.mark.loopback
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_viewers_watching(running: tuple[Process, Http], number: int) -> None:
    process, monitor = running
    with closing(Stream(monitor)) as viewer:
        assert process.stop(number) == (0, "")
        assert viewer.event() == {}, "the stream ended in order"


@pytest.mark.loopback
def test_it_serves_what_it_has_while_the_broker_is_away(
    broker: Broker, settings: Config, processes: Callable[..., Process], until: Until
) -> None:
    broker.stop()
    process = processes(SERVE, msgspec.json.encode(settings).decode())
    monitor = Http(settings)
    until(lambda: "refused" in monitor.health().get("trouble", ""), "the trouble is named")
    assert monitor.get("/en/")[0] == 200
    assert monitor.get("/healthz")[0] == 503
    broker.start()
    until(lambda: monitor.health().get("status") == "ok", "it recovers by itself")
    assert process.stop()[0] == 0


@pytest.mark.loopback
def test_kill_9_in_the_middle_of_a_flood_loses_and_doubles_nothing(
    running: tuple[Process, Http],
    settings: Config,
    processes: Callable[..., Process],
    uplink: Uplink,
    probes: Probes,
    until: Until,
) -> None:
    process, monitor = running
    probe = probes()
    findings = {
        f.id: f
        for f in (probe.finding("clean", instants.from_text("2026-01-01T00:00:00.000Z") + n) for n in range(600))
    }
    uplink.send(*findings.values())
    until(lambda: uplink.stored, "the first ones are answered")
    process.stop(signal.SIGKILL)
    processes(SERVE, msgspec.json.encode(settings).decode())
    until(lambda: monitor.health().get("status") == "ok", "back")
    uplink.send(*(f for i, f in findings.items() if i not in set(uplink.stored)))
    until(lambda: set(uplink.stored) == set(findings), "all are answered")
    counters = monitor.health()["counters"]
    assert counters["stored"] == len(findings)


@pytest.mark.loopback
def test_a_dead_part_ends_the_process_with_its_reason(
    running: tuple[Process, Http], settings: Config, processes: Callable[..., Process]
) -> None:
    busy = service_error(processes, settings)
    assert "collector.listen: can't listen on 127.0.0.1" in busy
    broken = msgspec.structs.replace(
        settings,
        mqtt=MqttConfig(host="127.0.0.1", port=settings.mqtt.port, password_file="/nonexistent"),
        collector=msgspec.structs.replace(settings.collector, listen="127.0.0.1:0", client_id="other"),
    )
    assert "mqtt.password_file: can't be read" in service_error(processes, broken)


def service_error(processes: Callable[..., Process], config: Config) -> str:
    status, errors = processes(SERVE, msgspec.json.encode(config).decode()).wait()
    assert status == 3, errors
    return errors


def test_a_collector_without_a_broker_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.host"):
        service.run(Config(), lambda: None)


@pytest.mark.loopback
def test_a_database_that_can_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = Config(
        mqtt=MqttConfig(host="127.0.0.1", port=1),
        collector=CollectorConfig(database=str(tmp_path / "file" / "db"), listen="127.0.0.1:0"),
    )
    with pytest.raises(StoreError, match="can't be opened"):
        service.run(config, lambda: None)


@pytest.mark.parametrize(
    "address", ["", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", "[::1]"]
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigError, match=r"collector\.listen"):
        service.listen(address)


@pytest.mark.loopback
def test_addresses_of_both_families() -> None:
    with service.listen("127.0.0.1:0") as four:
        assert service.url(four) == f"http://127.0.0.1:{four.getsockname()[1]}/"
    if socket.has_ipv6:
        with service.listen("[::1]:0") as six:
            assert service.url(six) == f"http://[::1]:{six.getsockname()[1]}/"


@pytest.mark.loopback
def test_an_incident_is_told_once_and_counters_are_read_beside(
    settings: Config, processes: Callable[..., Process], until: Until, uplink: Uplink, probes: Probes
) -> None:
    with serving(lambda asked: (404 if "robots" in asked.path else 200, {}, b'{"fans": 12345}')) as web:
        collector = msgspec.structs.replace(
            settings.collector,
            notify=[NtfyConfig(name="phone", url=f"{web.url}/incidents", settle=0.0)],
            counter=[CounterConfig(name="fans", url=f"{web.url}/fans", json="/fans")],
        )
        config = msgspec.structs.replace(
            settings, collector=collector, safety=SafetyConfig(allow_networks=["127.0.0.0/8"])
        )
        monitor, told = Http(config), list[dict[str, Any]]()

        def tell() -> bool:
            told[:] = [json.loads(asked.body) for asked in web.asked if asked.method == "POST"]
            return bool(told)

        process = processes(SERVE.replace("try:", LOOK + "try:", 1), msgspec.json.encode(config).decode())
        until(lambda: monitor.health().get("status") == "ok", "the collector serves and is subscribed")
        now = wall_clock()
        for name in ("p-one", "p-two"):
            probe = probes(name)
            uplink.send(*(probe.finding("interfered", now - minutes * 60_000) for minutes in (40, 20, 1)))
        until(tell, "somebody is told")
        assert monitor.get("/en/counters")[0] == 200
        assert process.stop() == (0, "")
        again = processes(SERVE.replace("try:", LOOK + "try:", 1), msgspec.json.encode(config).decode())
        until(lambda: monitor.health().get("status") == "ok", "the next one serves")
        until(lambda: b'"value":12345' in monitor.get("/api/counters")[1], "the counter was read", 90.0)
        assert again.stop() == (0, "")
        tell()
        assert [one["title"] for one in told] == ["Interference has begun: news.example on Atlas Telecom"]
