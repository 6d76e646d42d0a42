"""deploy/mosquitto with a real Mosquitto and real certificates: who may say and hear what."""

from __future__ import annotations

import datetime as dt
import os
import queue
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from probe.collector.homes import BROKER_LOG, judge_line
from probe.collector.verdicts import Connected
from probe.model import feed

FOLDER = Path(__file__).parents[2] / "deploy/mosquitto"
REFUSED = "Not authorized"
ONE, OTHER = "p-one", "p-other"
ID = "01900000-0000-7000-8000-000000000001"

pytestmark = pytest.mark.loopback


def until(true: Callable[[], object], what: str, within: float = 15.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


class Authority:
    """Certificates for the broker and its clients, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        extension = x509.BasicConstraints(ca=True, path_length=0)
        self._write("colibri-ca.pem", self._certificate(self._name, self._key, extension, critical=True))

    def _certificate(self, subject: x509.Name, key: Any, extension: Any, *, critical: bool) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=critical)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def issue(self, file: str, name: str) -> None:
        """FILE.pem and FILE.key, for the common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        self._write(f"{file}.pem", self._certificate(subject, key, names, critical=False))
        self._write(f"{file}.key", key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip


class Broker:
    """A Mosquitto with a shipped file; only paths and ports are this test's own."""

    def __init__(
        self, folder: Path, shipped: str, port: int, changes: dict[str, str], source: Path = FOLDER
    ) -> None:
        self.folder, self.port = folder, port
        lines = [line for line in (source / shipped).read_text().splitlines() if line and not line.startswith("#")]
        text = "\n".join(["user root", *lines, ""])
        for old, new in {"/etc/mosquitto/certs": str(folder), "/var/lib/mosquitto": str(folder), **changes}.items():
            text = text.replace(old, new)
        assert " /etc" not in text
        assert " /var" not in text
        self._config = folder / shipped
        self._config.write_text(text)
        self._log = folder / f"{shipped}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "mosquitto is not installed"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", self._config], stdout=log, stderr=log)
        until(self._listens, "mosquitto listens")

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """The probes' and the collector's."""
    authority = Authority(tmp_path)
    for name in ("colibri-broker", "colibri-bridge", "collector", "jane", ONE, OTHER):
        authority.issue(name, "bridge" if name == "colibri-bridge" else name)
    port = free_port()
    one = Broker(tmp_path, "colibri.conf", port, {
        "listener 8883": f"listener {port} 127.0.0.1", "/etc/mosquitto/colibri.acl": str(FOLDER / "acl"),
    })  # fmt: skip
    one.start()
    yield one
    one.stop()


@pytest.fixture
def public(broker: Broker) -> Iterator[Broker]:
    """The public's, fed by the first."""
    port = free_port()
    one = Broker(broker.folder, "public.conf", port, {
        "listener 8884": f"listener {port} 127.0.0.1", "localhost:8883": f"localhost:{broker.port}",
        "/etc/mosquitto/colibri-public.acl": str(FOLDER / "public.acl"),
    })  # fmt: skip
    one.start()
    yield one
    one.stop()


class Peer:
    """An MQTT 5 client that remembers what it hears and what the broker said of what it published."""

    def __init__(self, broker: Broker, name: str = "", client_id: str = "", username: str = "", **how: Any) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.lost: list[str] = []
        self.refused = ""
        self._granted: queue.Queue[int] = queue.Queue()
        self._answers: queue.Queue[str] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id or name, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set(
            str(broker.folder / "colibri-ca.pem"),
            *((str(broker.folder / f"{name}.pem"), str(broker.folder / f"{name}.key")) if name else ()),
        )
        if username:
            self._client.username_pw_set(username, "guess")
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.append(str(reason))
        self._client.on_message = self._on_message
        self._client.on_publish = lambda _c, _u, _m, reason, _p: self._answers.put(str(reason))
        self._client.on_subscribe = lambda _c, _u, mid, _r, _p: self._granted.put(mid)
        self._client.connect("localhost", broker.port, **how)
        self._client.loop_start()
        until(lambda: self._client.is_connected() or self.refused or self.lost, "an answer to CONNECT")

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    @property
    def connected(self) -> bool:
        return self._client.is_connected()

    def hear(self, topic: str, qos: int = 1) -> None:
        self._client.subscribe(topic, qos=qos)
        self._granted.get(timeout=10)

    def say(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """Publish with QoS 1; the reason code in words."""
        self._client.publish(topic, payload, qos=1, retain=retain)
        return self._answers.get(timeout=10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    """``peers(broker, certificate, client_id, username)`` joins; all leave with the test."""
    made: list[Peer] = []

    def join(*arguments: Any, **how: Any) -> Peer:
        made.append(Peer(*arguments, **how))
        return made[-1]

    yield join
    for peer in made:
        peer.close()


OPEN = f"{feed.ROOT}/public/state"
Join = Callable[..., Peer]


def test_a_probe_says_all_that_the_feed_has_below_its_own_name_alone(broker: Broker, peers: Join) -> None:
    collector, one = peers(broker, "collector"), peers(broker, ONE)
    collector.hear("colibri/v1/#")
    own = [
        topic(probe)
        for probe in (ONE, OTHER)
        for topic in (
            feed.availability, feed.info, feed.heartbeat, lambda p: feed.finding(p, "tcp_reset"),
            lambda p: feed.evidence(p, ID), lambda p: feed.state(p, "tcp_reset", "https://a.example/"),
            lambda p: f"{feed.ROOT}/{p}/response/measure",
        )
    ]  # fmt: skip
    for topic in own:
        allowed = topic.startswith(f"{feed.ROOT}/{ONE}/")
        assert (one.say(topic) != REFUSED) == allowed, topic
    assert one.say(feed.info(ONE), b"last") != REFUSED
    until(lambda: (feed.info(ONE), b"last") in collector.heard, "the collector hears the probe")
    assert {topic for topic, _ in collector.heard} == {topic for topic in own if f"/{ONE}/" in topic}


def test_a_probe_can_not_speak_for_the_collector(broker: Broker, peers: Join) -> None:
    one = peers(broker, ONE)
    for topic in (
        feed.stored(ONE), feed.stored(OTHER), f"{feed.ROOT}/public/incident", f"{feed.ROOT}/{ONE}/request/measure",
        f"{feed.ROOT}/collector/info", "elsewhere", "$SYS/broker/version",
    ):  # fmt: skip
        assert one.say(topic) == REFUSED, topic


def test_a_probe_hears_its_own_stored_and_nothing_of_another(broker: Broker, peers: Join) -> None:
    collector, one, other = peers(broker, "collector"), peers(broker, ONE), peers(broker, OTHER)
    for topic in ("colibri/v1/#", feed.stored(OTHER), f"{feed.ROOT}/+/finding/+", f"{feed.ROOT}/+/stored", "$SYS/#"):
        one.hear(topic)
    assert other.say(feed.finding(OTHER, "tcp_reset")) != REFUSED
    assert other.say(feed.info(OTHER), retain=True) != REFUSED
    assert collector.say(feed.stored(OTHER)) != REFUSED
    assert collector.say(feed.stored(ONE), b"mine") != REFUSED
    until(lambda: one.heard, "the probe hears what is stored")
    assert set(one.heard) == {(feed.stored(ONE), b"mine")}
    late = peers(broker, ONE, client_id="ignored")  # what is retained comes at once, if it may
    late.hear("colibri/v1/#")
    assert collector.say(feed.stored(ONE), b"again") != REFUSED
    until(lambda: late.heard, "and the one that follows")
    assert {topic for topic, _ in late.heard} == {feed.stored(ONE)}


def test_a_probe_can_not_take_anothers_place(broker: Broker, peers: Join) -> None:
    victim = peers(broker, OTHER)
    thief = peers(broker, ONE, client_id=OTHER)
    assert thief.say(feed.info(ONE)) != REFUSED
    assert thief.say(feed.info(OTHER)) == REFUSED
    assert victim.say(feed.info(OTHER)) != REFUSED
    assert victim.lost == []


def test_without_a_certificate_nobody_reaches_the_probes_listener(broker: Broker, peers: Join) -> None:
    one = peers(broker, ONE)
    one.hear(feed.stored(ONE))
    arguments = ["--cafile", f"{broker.folder}/colibri-ca.pem", "-h", "localhost", "-p", str(broker.port), "-t",
                 feed.stored(ONE), "-m", "x", "-q", "1"]  # fmt: skip
    certificate = ["--cert", f"{broker.folder}/collector.pem", "--key", f"{broker.folder}/collector.key"]
    for extra, served in (["-u", "collector"], False), (certificate, True):
        done = subprocess.run(
            ["mosquitto_pub", *arguments, *extra], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode == 0) is served, done.stderr
    until(lambda: one.heard, "the one with a certificate is heard")
    assert one.heard == [(feed.stored(ONE), b"x")]


def test_who_connects_from_where_is_told_to_the_collector_alone_and_written_nowhere(
    broker: Broker, peers: Join
) -> None:
    collector, jane, one = peers(broker, "collector"), peers(broker, "jane"), peers(broker, ONE)
    for peer in (collector, jane, one):
        for topic in (BROKER_LOG, "$SYS/#"):
            peer.hear(topic, qos=0)  # as the collector does: the broker writes down what it still has to hand on
    other = peers(broker, OTHER, bind_address="127.0.7.1")
    until(lambda: said_of(collector, OTHER), "it is told")
    assert any(b"127.0.7.1" in line for _, line in collector.heard)
    assert {topic for topic, _ in collector.heard} == {BROKER_LOG}
    assert other.say(feed.heartbeat(OTHER)) != REFUSED  # and whatever the others were to hear has come by now
    assert one.say(BROKER_LOG, b"New client connected from 10.0.0.1:1 as p-other (p5, c1, k60, u'p-other').") == REFUSED
    assert (jane.heard, one.heard) == ([], [])
    broker.stop()
    for path in [path for path in broker.folder.rglob("*") if path.is_file()]:
        assert b"127.0.7." not in path.read_bytes(), path


def said_of(peer: Peer, probe: str) -> list[Connected]:
    heard = [judge_line(line, b"key") for topic, line in peer.heard if topic == BROKER_LOG]
    return [said for said in heard if isinstance(said, Connected) and said.probe == probe]


def test_the_public_hears_the_public_part_and_can_say_nothing(broker: Broker, public: Broker, peers: Join) -> None:
    collector, one, reader = peers(broker, "collector"), peers(broker, ONE), peers(public)
    for topic in ("#", "colibri/v1/#", "$SYS/#"):
        reader.hear(topic)
    collector.hear("colibri/v1/#")

    def bridged() -> bool:
        assert one.say(feed.finding(ONE, "tcp_reset")) != REFUSED
        assert collector.say(OPEN, b"open") != REFUSED
        return bool(reader.heard)

    until(bridged, "the bridge stands and hands on the public part")
    for topic in (OPEN, feed.stored(ONE), feed.finding(ONE, "tcp_reset"), "chat"):
        assert reader.say(topic, b"lie") == REFUSED, topic
    assert set(reader.heard) == {(OPEN, b"open")}
    assert b"lie" not in {payload for _, payload in collector.heard}


@pytest.mark.parametrize("client_id", ["collector", "bridge", ONE])
def test_whatever_the_public_calls_itself_the_probes_do_not_notice(
    broker: Broker, public: Broker, peers: Join, client_id: str
) -> None:
    collector, one = peers(broker, "collector"), peers(broker, ONE)
    liar = peers(public, client_id=client_id, username="collector")
    liar.hear("colibri/v1/#")
    assert liar.say(feed.stored(ONE)) == REFUSED
    assert collector.say(feed.stored(ONE)) != REFUSED
    assert liar.heard == []
    assert (collector.lost, one.lost) == ([], [])


def test_what_waits_for_the_collector_survives_a_restart_of_the_broker(broker: Broker, peers: Join) -> None:
    keep = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    keep.SessionExpiryInterval = 3600
    collector = peers(broker, "collector", clean_start=False, properties=keep)
    collector.hear("colibri/v1/#")
    collector.close()
    one = peers(broker, ONE)
    for _ in range(1100):  # Mosquitto's default drops what is beyond 1,000
        one._client.publish(feed.finding(ONE, "tcp_reset"), b"x", qos=1)
    until(lambda: one._answers.qsize() == 1100, "all is acknowledged")
    one.close()
    broker.stop()
    broker.start()
    back = peers(broker, "collector", clean_start=False, properties=keep)
    until(lambda: len(back.heard) == 1100, "all that waited arrives")


def test_the_demo_s_list_is_this_one() -> None:
    assert (FOLDER / "acl").resolve() == Path(__file__).parents[2] / "probe/lab/broker.acl"


def test_the_example_of_a_reader_does_what_it_says(broker: Broker, peers: Join) -> None:
    shipped = (FOLDER / "acl").read_text()
    opened = broker.folder / "opened.acl"
    opened.write_text(re.sub(r"^#(user jane|topic read colibri/v1/#)$", r"\1", shipped, flags=re.MULTILINE))
    assert len(opened.read_text()) == len(shipped) - 2
    broker.stop()
    config = broker.folder / "colibri.conf"
    config.write_text(config.read_text().replace(str(FOLDER / "acl"), str(opened)))
    broker.start()
    jane, one = peers(broker, "jane"), peers(broker, ONE)
    jane.hear("colibri/v1/#")
    assert one.say(feed.finding(ONE, "tcp_reset")) != REFUSED
    until(lambda: jane.heard, "the reader hears")
    assert jane.say(feed.stored(ONE)) == REFUSED
