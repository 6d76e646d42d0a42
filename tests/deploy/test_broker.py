"""deploy/broker with a real Mosquitto and our own authority: what a stolen certificate can do, and for how long."""

from __future__ import annotations

import queue
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from probe.collector.enrol import ended
from probe.collector.enrol.authority import Authority, private_pem
from probe.collector.enrol.register import Register
from probe.collector.enrol.revoke import Revoked, revoke
from probe.collector.instants import DAY, now
from probe.model import feed
from probe.model.config import EnrolmentConfig
from probe.model.errors import ColibriError, UsageError
from tests.deploy.test_mosquitto import ONE, OTHER, REFUSED, Broker, Join, Peer, free_port, until

pytestmark = pytest.mark.loopback

FOLDER = Path(__file__).parents[2] / "deploy/broker"
CONNECT = bytes.fromhex("101100044d5154540502003c000004") + b"abcd"
"""MQTT 5, a clean start, a ping every minute, client id ``abcd`` (of which the broker makes the certificate's name)."""
LISTS = f"{feed.ROOT}/all/lists"


class Town:
    """An authority, its register, and a broker that trusts it."""

    def __init__(self, folder: Path, start: bool = True) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = EnrolmentConfig(folder=str(folder / "enrol"), names=["localhost"])
        self.authority = Authority(folder / "enrol", now())
        self.register = Register(folder / "enrol")
        (folder / "colibri-ca.pem").write_text(self.authority.pem)
        key = ec.generate_private_key(ec.SECP256R1())
        self._write("colibri-broker", self.authority.server(key.public_key(), ["localhost"], now(), 1).pem, key)
        port = free_port()
        self.broker = Broker(folder, "colibri.conf", port, {
            "listener 8883": f"listener {port} 127.0.0.1", "/etc/mosquitto/colibri.acl": str(FOLDER / "acl"),
            "/run/mosquitto": str(folder), f"{folder}/colibri-revoked.crl": str(self.authority.crl),
        }, FOLDER)  # fmt: skip
        if start:
            self.broker.start()

    def join(self, name: str, days: float = 1.0, *, at: int | None = None, authority: Authority | None = None) -> None:
        """Files of a certificate in this name; a probe's is in the register."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = (authority or self.authority).client(key.public_key(), name, now() if at is None else at, days)
        if name.startswith("p-") and authority is None:
            with self.register.writing():
                if self.register.probe(name) is None:
                    self.register.add_probe(name, "", now())
                self.register.add_certificate(name, issued.serial.encode(), issued)
        self._write(name, issued.pem, key)

    def _write(self, name: str, certificate: str, key: ec.EllipticCurvePrivateKey) -> None:
        (self.folder / f"{name}.pem").write_text(certificate)
        (self.folder / f"{name}.key").write_bytes(private_pem(key))

    def revoke(self, name: str, **how: Any) -> Revoked:
        config = EnrolmentConfig(folder=self.config.folder, broker_pid=str(self.folder / "mosquitto.pid"))
        return revoke(config, self.authority, self.register, name, ("localhost", self.broker.port), **how)

    def close(self) -> None:
        self.register.close()
        self.broker.stop()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    one = Town(tmp_path)
    for name in ("collector", "operator", ONE, OTHER):
        one.join(name)
    yield one
    one.close()


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def join(*arguments: Any, **how: Any) -> Peer:
        made.append(Peer(*arguments, **how))
        return made[-1]

    yield join
    for peer in made:
        peer.close()


class Thief:
    """A client with somebody's files that comes back whenever it is thrown out, as paho does by itself."""

    def __init__(self, town: Town, name: str, protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5) -> None:
        self.events: list[tuple[str, float]] = []
        self._answers: queue.Queue[str] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2, name, protocol=protocol)
        folder = town.folder
        self._client.tls_set(str(folder / "colibri-ca.pem"), str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda *_: self.events.append(("in", time.monotonic()))
        self._client.on_disconnect = lambda *_: self.events.append(("out", time.monotonic()))
        self._client.on_publish = lambda _c, _u, _m, reason, _p: self._answers.put(str(reason))
        self._client.connect("localhost", town.broker.port)
        self._client.loop_start()
        until(self._client.is_connected, "the thief is in")

    @property
    def inside(self) -> bool:
        return self._client.is_connected()

    def say(self, topic: str) -> str:
        self._client.publish(topic, b"stolen", qos=1)
        return self._answers.get(timeout=10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_a_stolen_certificate_speaks_below_its_own_name_alone(
    town: Town, peers: Join, version: MQTTProtocolVersion
) -> None:
    collector = peers(town.broker, "collector")
    collector.hear("#")
    for topic in (
        feed.finding(OTHER, "voip"), feed.info(OTHER), feed.stored(OTHER), feed.stored(ONE), LISTS,
        f"{feed.ROOT}/all/request/stop", f"{feed.ROOT}/{OTHER}/request/measure", f"{feed.ROOT}/{ONE}/request/measure",
        f"{feed.ROOT}/public/incident/opened", "$SYS/broker/uptime", "x", feed.finding(ONE, "voip"),
    ):  # fmt: skip
        thief = Thief(town, ONE, version)  # Mosquitto 2.0.11 throws out whoever says what is forbidden
        said = thief.say(topic)
        thief.close()
        if version == MQTTProtocolVersion.MQTTv5:
            assert (said == REFUSED) == (topic != feed.finding(ONE, "voip")), topic
        else:
            assert said == "Success"  # MQTT 3.1.1 has no word for no
    until(lambda: any(payload == b"stolen" for _, payload in collector.heard), "its own word is heard")
    assert [topic for topic, payload in collector.heard if payload == b"stolen"] == [feed.finding(ONE, "voip")]


def test_it_hears_nothing_of_others_and_can_not_take_their_place(town: Town, peers: Join) -> None:
    victim, operator = peers(town.broker, OTHER), peers(town.broker, "operator")
    thief = peers(town.broker, ONE, client_id=OTHER)
    for topic in ("#", "colibri/v1/#", feed.stored(OTHER), f"{feed.ROOT}/{OTHER}/request/+", "$SYS/#"):
        thief.hear(topic)
    assert victim.say(feed.finding(OTHER, "voip")) != REFUSED
    assert operator.say(f"{feed.ROOT}/{OTHER}/request/measure") != REFUSED
    assert operator.say(LISTS, b"list", retain=True) != REFUSED
    until(lambda: thief.heard, "what is for all")
    assert set(thief.heard) == {(LISTS, b"list")}
    assert victim.lost == []
    assert victim.connected


def test_who_is_revoked_is_out_within_five_seconds_and_the_others_stay(town: Town, peers: Join) -> None:
    collector, other = peers(town.broker, "collector"), peers(town.broker, OTHER)
    collector.hear(feed.availability(ONE))
    thief = Thief(town, ONE)
    try:
        started = time.monotonic()
        done = town.revoke(ONE)
        until(lambda: not thief.inside, "the thief is out")
        elapsed = time.monotonic() - started
        assert elapsed < 5
        assert done.refused_after is not None
        assert done.cut_after is not None
        assert done.certificates == 1
        out = thief.events[-1]
        assert out[0] == "out"
        time.sleep(2.2)  # paho comes back every second
        assert not thief.inside
        assert [event for event, at in thief.events if event == "in" and at > started + done.cut_after] == []
        until(lambda: collector.heard and collector.heard[-1] == (feed.availability(ONE), b"offline"), "it is offline")
    finally:
        thief.close()
    assert (collector.lost, other.lost) == ([], [])
    assert other.say(feed.info(OTHER)) != REFUSED
    assert peers(town.broker, OTHER).connected  # and may come anew


def test_a_silent_thief_that_holds_its_session_is_out_as_well(town: Town) -> None:
    """No client that reconnects, no traffic: the session alone, as it stands when the list has changed."""
    context = ssl.create_default_context(cafile=str(town.folder / "colibri-ca.pem"))
    context.load_cert_chain(town.folder / f"{ONE}.pem", town.folder / f"{ONE}.key")
    plain = socket.create_connection(("localhost", town.broker.port))
    with context.wrap_socket(plain, server_hostname="localhost") as held:
        held.sendall(CONNECT)
        held.settimeout(10)
        assert held.recv(100)[0] == 0x20  # CONNACK
        started = time.monotonic()
        town.revoke(ONE)
        heard = bytearray()
        while some := held.recv(100):
            heard += some
        assert bytes(heard[:1]) in (b"", b"\xe0")  # DISCONNECT: the session was taken over
        assert time.monotonic() - started < 5


def test_a_session_ends_with_its_certificate_and_the_others_stay(town: Town, peers: Join) -> None:
    town.join("p-renewed", 0.5)
    town.join("p-renewed", 30.0)
    collector, renewed, late = (peers(town.broker, name) for name in ("collector", "p-renewed", ONE))
    collector.hear(feed.availability(ONE))
    config = EnrolmentConfig(
        folder=town.config.folder, names=["broker.invalid", "localhost"], broker_port=town.broker.port
    )
    assert ended.look(config, town.authority, now()) == []
    assert late.lost == []
    tomorrow = now() + 2 * DAY
    assert set(ended.look(config, town.authority, tomorrow)) == {ONE, OTHER}
    until(lambda: late.lost, "its session is over")
    until(lambda: (feed.availability(ONE), b"offline") in collector.heard, "it is offline")
    assert ended.look(config, town.authority, tomorrow) == [], "once for each certificate"
    assert (collector.lost, renewed.lost) == ([], [])


@pytest.mark.parametrize("version", ["TLSv1_3", "TLSv1_2"])
def test_a_tls_session_of_before_opens_no_door(town: Town, version: str) -> None:
    """Resuming a session shows no certificate again: a broker that allowed it would not ask its list."""
    if version == "TLSv1_2":  # which our file does not allow: as a broker of others might be set up
        town.broker.stop()
        config = town.folder / "colibri.conf"
        config.write_text(config.read_text().replace("tls_version tlsv1.3", "tls_version tlsv1.2"))
        town.broker.start()
    context = ssl.create_default_context(cafile=str(town.folder / "colibri-ca.pem"))
    context.maximum_version = getattr(ssl.TLSVersion, version)
    context.load_cert_chain(town.folder / f"{ONE}.pem", town.folder / f"{ONE}.key")

    def enter(session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession | None]:
        plain = socket.create_connection(("localhost", town.broker.port))
        with plain, context.wrap_socket(plain, server_hostname="localhost", session=session) as secure:
            secure.settimeout(10)
            secure.sendall(CONNECT)
            try:
                return secure.recv(100)[:1] == b"\x20", secure.session
            except (ssl.SSLError, ConnectionError):
                return False, None

    let_in, session = enter(None)
    assert let_in
    town.revoke(ONE)
    for kept in (session, None):
        try:
            let_in, _ = enter(kept)
        except (ssl.SSLError, ConnectionError):
            let_in = False
        assert not let_in


def refused(town: Town, name: str) -> bool:
    """Whether a client with these files gets no word from the broker."""
    folder = str(town.folder)
    done = subprocess.run(
        ["mosquitto_pub", "--cafile", f"{folder}/colibri-ca.pem", "-h", "localhost", "-p", str(town.broker.port),
         *(["--cert", f"{folder}/{name}.pem", "--key", f"{folder}/{name}.key"] if name else []),
         "-t", feed.info(name or "x"), "-m", "x", "-q", "1", "-V", "5"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode != 0


def test_who_has_no_certificate_or_a_wrong_one_does_not_come_in(town: Town, tmp_path: Path) -> None:
    assert not refused(town, ONE)
    assert refused(town, "")
    town.join("p-expired", 1.0, at=now() - 2 * DAY)
    assert refused(town, "p-expired")
    town.join("p-early", 1.0, at=now() + 2 * DAY)
    assert refused(town, "p-early")
    stranger = Authority(tmp_path / "stranger", now())
    town.join("p-stranger", authority=stranger)
    assert refused(town, "p-stranger")


def test_a_server_s_certificate_is_no_client_s(town: Town) -> None:
    assert refused(town, "colibri-broker")


def test_older_tls_is_not_spoken(town: Town) -> None:
    context = ssl.create_default_context(cafile=str(town.folder / "colibri-ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("localhost", town.broker.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_only_the_operator_puts_lists_and_requests_there(town: Town, peers: Join) -> None:
    operator, collector, one = (peers(town.broker, name) for name in ("operator", "collector", ONE))
    request = f"{feed.ROOT}/{ONE}/request/measure"
    for topic in (LISTS, request, f"{feed.ROOT}/all/request/stop"):
        assert operator.say(topic) != REFUSED
        assert collector.say(topic) == REFUSED
        assert one.say(topic) == REFUSED
    assert operator.say(feed.finding(ONE, "voip")) == REFUSED
    assert operator.say(feed.stored(ONE)) == REFUSED


def test_a_broker_that_does_not_read_its_list_is_told_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    # Mosquitto listens before it has read the list: who is let in knows that it has.
    assert not refused(town, ONE)
    monkeypatch.setattr("probe.collector.enrol.revoke.WITHIN", 0.5)
    broker = ("localhost", town.broker.port)
    with pytest.raises(ColibriError, match=r"has not read it in 0 s: reload it"):
        revoke(town.config, town.authority, town.register, ONE, broker)  # no pid file: nobody signals it
    row = town.register.probe(ONE)
    assert row is not None
    assert row.revoked is not None
    assert town.revoke(ONE).cut_after is not None  # and again, once it can be


def test_nobody_of_that_name_and_nobody_there(town: Town) -> None:
    with pytest.raises(UsageError, match="no probe is called 'p-nobody'"):
        town.revoke("p-nobody")
    town.broker.stop()
    with pytest.raises(ColibriError, match="can't be reached"):
        revoke(town.config, town.authority, town.register, ONE, ("localhost", town.broker.port))


UNITS = ["colibri-enrol.service", "colibri-revoked.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's package systemd")
@pytest.mark.parametrize("unit", UNITS)
def test_the_units_expose_little_and_are_understood(unit: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", FOLDER / unit], capture_output=True, text=True, check=False
    )
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert score is not None, ran.stderr
    assert float(score[1]) <= 1.2
    for name in (*UNITS, "colibri-revoked.path"):
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(re.sub(r"(?<=ExecStart=)/usr/bin/(colibri|install|systemctl)", "/bin/true", text))
    ran = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in (unit, "colibri-revoked.path"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in ran.stderr.splitlines() if "mosquitto" not in line] == []


def test_both_brokers_say_the_same_of_rights_logs_and_memory() -> None:
    """deploy/mosquitto's file and this one differ in what the page says, and in nothing else."""
    def lines(path: Path) -> set[str]:
        return {line for line in path.read_text().splitlines() if line and not line.startswith("#")}

    own, other = lines(FOLDER / "colibri.conf"), lines(FOLDER.parent / "mosquitto/colibri.conf")
    assert other - own == {"tls_version tlsv1.2"}
    assert own - other == {
        "tls_version tlsv1.3", "crlfile /etc/mosquitto/certs/colibri-revoked.crl", "max_connections 100000",
        "max_keepalive 600", "max_queued_bytes 536870912", "pid_file /run/mosquitto/mosquitto.pid",
    }  # fmt: skip
    assert (FOLDER / "acl").resolve() == (FOLDER.parent / "mosquitto/acl").resolve()
