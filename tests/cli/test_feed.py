"""``colibri feed``: what arrives, as JSON or for a person, and nothing that steers the terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from probe.cli import main as cli
from probe.model import feed
from tests.agent.conftest import PROBE, Broker, eventually, make_finding
from tests.deploy.test_broker import Town
from tests.deploy.test_mosquitto import Peer

pytestmark = pytest.mark.loopback


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def config(tmp_path: Path, broker: Broker) -> Path:
    path = tmp_path / "colibri.toml"
    path.write_text(f'mqtt = {{ host = "127.0.0.1", port = {broker.port} }}\n')
    return path


def retain(broker: Broker, *messages: tuple[str, bytes]) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def test_findings_as_they_are(broker: Broker, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finding = msgspec.json.encode(make_finding(1))
    retain(broker, (feed.finding(PROBE, "dns_injection"), finding), (feed.info(PROBE), b"{}"))
    assert cli.main(["feed", "--json", "--count", "1", "--config", str(config)]) == 0
    assert capsys.readouterr().out == finding.decode() + "\n"


def test_findings_for_a_person_cannot_steer_the_terminal(
    broker: Broker, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = make_finding(1, "interfered", target="\x1b]0;owned\x07\x1b[2J", reasons=["a\x9bb"])
    retain(broker, (feed.finding(PROBE, "dns_injection"), msgspec.json.encode(nasty)))
    assert cli.main(["feed", "--count", "1", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert "INTERFERED" in out
    assert all(character.isprintable() or character == "\n" for character in out)


def test_another_topic_and_what_is_not_json(
    broker: Broker, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retain(broker, ("colibri/v1/p/availability", b"online"), ("colibri/v1/p/x", b"\xff"))
    words = ["feed", "--topic", "colibri/v1/p/#", "--count", "2", "--config", str(config)]
    assert cli.main(words) == 0
    assert "colibri/v1/p/availability  online\n" in capsys.readouterr().out
    assert cli.main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert min(err.splitlines()) == "colibri/v1/p/availability: a message that is not JSON"


def test_it_ends_when_the_time_is_over(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert cli.main(["feed", "--timeout", "1", "--config", str(config)]) == 0
    assert 0.9 < time.monotonic() - began < 10
    assert capsys.readouterr().out == ""


def test_it_follows_live(broker: Broker, config: Path, tmp_path: Path) -> None:
    log = tmp_path / "out"
    with log.open("w") as out:
        command = [sys.executable, "-m", "probe", "feed", "--json", "--config", str(config)]
        process = subprocess.Popen(command, stdout=out)
    try:
        for number in range(200):
            retain(broker, (feed.finding(PROBE, "dns_injection"), msgspec.json.encode(make_finding(number))))
            if len(log.read_text().splitlines()) >= 2:
                break
            time.sleep(0.05)
        eventually(lambda: len(log.read_text().splitlines()) >= 2)
    finally:
        process.terminate()
        process.wait(10)
    assert all(json.loads(line)["schema"] == "colibri.finding/1" for line in log.read_text().splitlines())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--count", "0"], 2, "must be at least 1"),
        (["--topic", "a/#/b"], 2, "'a/#/b' is not a topic filter"),
        (["--timeout", "soon"], 2, "invalid"),
    ],
)
def test_wrong_words_are_one_line(
    config: Path, words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["feed", "--config", str(config), *words]) == status
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_no_broker_is_one_line_and_status_1(
    config: Path, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.stop()
    assert cli.main(["feed", "--config", str(config)]) == 1
    assert "no connection to the broker 127.0.0.1" in capsys.readouterr().err
    config.write_text("")
    assert cli.main(["feed", "--config", str(config)]) == 1
    assert capsys.readouterr().err == "colibri: no broker is configured (set [mqtt] host)\n"


def test_whose_certificate_it_has_is_not_pushed_off_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our broker lets one client in under each certificate's name: a second one ends the first one's session."""
    town = Town(tmp_path / "town")
    try:
        for name in ("p-one", "operator"):
            town.join(name)
        config = tmp_path / "colibri.toml"
        files = 'mqtt = {{ host = "localhost", port = {}, tls = {{ ca = "{}", certificate = "{}", key = "{}" }} }}\n'

        def listen(name: str, topic: str) -> int:
            ends = (town.folder / f"{name}.{kind}" for kind in ("pem", "key"))
            config.write_text(
                files.format(town.broker.port, town.folder / "colibri-ca.pem", *ends) + '[probe]\nid = "p-one"\n'
            )
            return cli.main(["feed", "--topic", topic, "--timeout", "1", "--config", str(config)])

        daemon = Peer(town.broker, "p-one")
        assert listen("p-one", "colibri/v1/all/lists") == 1
        err = capsys.readouterr().err
        assert "p-one.pem is p-one's own: listening with it would push p-one off the broker" in err
        assert err.count("\n") == 1
        assert listen("operator", "colibri/v1/all/lists") == 0
        assert daemon.lost == []
        daemon.close()
    finally:
        town.close()
