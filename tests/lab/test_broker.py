"""The demo's Mosquitto."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.lab import broker
from probe.model.errors import CannotMeasure

ACCOUNTS = {"collector": "c", "atlas": "a", "sale": "s"}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A running broker's."""
    number = broker.free_port()
    process = subprocess.Popen(broker.prepare(tmp_path, ACCOUNTS, number), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 15
    while not broker.listens(number):
        assert time.monotonic() < end
        time.sleep(0.01)
    yield number
    process.terminate()
    process.wait(10)


def publish(port: int, user: str, password: str, topic: str) -> str:
    """Publish as somebody; what mosquitto_pub said of the broker's answers."""
    done = subprocess.run(
        ["mosquitto_pub", "-V", "5", "-d", "-q", "1", "-p", str(port), "-u", user, "-P", password, "-t", topic, "-m",
         "x"], capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.loopback
def test_an_account_speaks_below_its_own_name_alone(port: int) -> None:
    assert "received PUBACK" in (said := publish(port, "atlas", "a", "colibri/v1/atlas/info"))
    assert "RC:135" not in said
    assert "RC:135" in publish(port, "atlas", "a", "colibri/v1/sale/info")
    assert "RC:135" in publish(port, "atlas", "a", "colibri/v1/atlas/stored")
    assert "RC:135" not in publish(port, "collector", "c", "colibri/v1/atlas/stored")
    assert "CONNACK (135)" in publish(port, "atlas", "wrong", "colibri/v1/atlas/info")


def test_passwords_are_kept_as_hashes_in_a_file_of_our_own(tmp_path: Path) -> None:
    command = broker.prepare(tmp_path, {"atlas": "open-sesame"}, 1)
    kept = tmp_path / "passwords"
    assert kept.read_text().startswith("atlas:$")
    assert "open-sesame" not in kept.read_text() + " ".join(command)
    assert kept.stat().st_mode & 0o077 == 0


def test_without_mosquitto_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_SBIN", str(tmp_path))
    with pytest.raises(CannotMeasure, match="apt-get install mosquitto"):
        broker.prepare(tmp_path, ACCOUNTS, 1)


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert broker.listens(port)
        assert broker.free_port(port) not in (0, port)
    assert not broker.listens(port)
    assert broker.free_port(port) == port
