"""The doctor: each thing that may be missing is named, with how to mend it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from probe.agent import doctor
from probe.agent.doctor import Check, examine
from probe.agent.line import Link
from probe.agent.session import Session
from probe.model.config import Config, ControlConfig, ProbeConfig
from tests.agent.conftest import Broker
from tests.agent.fake_daemon import make_runner

pytestmark = pytest.mark.loopback


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device on which all is well but that no daemon runs."""

    def up() -> Link:
        return Link("eth0", "192.0.2.1", ("192.0.2.2",))

    monkeypatch.setattr(doctor, "synchronised", lambda: True)
    monkeypatch.setattr("probe.agent.line.detect", up)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**12))
    (tmp_path / "targets").write_text('[[targets]]\ntarget = "a"\nmeasurements = ["dns_injection"]\n')
    path = tmp_path / "colibri.toml"
    path.write_text(
        f'probe.state_dir = "{tmp_path}/state"\ncontrol.socket = "{tmp_path}/control"\n'
        f'targets.files = ["{tmp_path}/targets"]\n'
    )
    return path


class Usage:
    """Stands for shutil's named tuple."""

    def __init__(self, free: int) -> None:
        self.free = free


def looked(path: Path | None) -> dict[str, Check]:
    return {check.name: check for check in asyncio.run(examine(path))}


def test_all_is_well_with_a_daemon_and_a_broker(config: Path, tmp_path: Path, broker: Broker) -> None:
    config.write_text(config.read_text() + f'mqtt = {{ host = "127.0.0.1", port = {broker.port} }}\n')
    probe, control = ProbeConfig(state_dir=str(tmp_path / "state")), ControlConfig(socket=str(tmp_path / "control"))

    async def scene() -> list[Check]:
        async with Session(Config(probe=probe, control=control), [], make_runner):
            return await examine(config)

    checks = {check.name: check for check in asyncio.run(scene())}
    assert [name for name, check in checks.items() if not check.ok] == []
    assert "1 measurements planned" in checks["configuration"].said
    assert checks["broker"].said == "127.0.0.1 accepts us"
    assert checks["daemon"].said.startswith("runs since 20")
    assert all(check.mend == "" for check in checks.values())


def test_a_daemon_with_a_certificate_is_asked_and_not_pushed_off_the_broker(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text() + 'mqtt = { host = "192.0.2.1", tls = { certificate = "/c.pem" } }\n')
    probe, control = ProbeConfig(state_dir=str(tmp_path / "state")), ControlConfig(socket=str(tmp_path / "control"))

    async def scene() -> list[Check]:
        async with Session(Config(probe=probe, control=control), [], make_runner):
            return await examine(config)

    (check,) = [check for check in asyncio.run(scene()) if check.name == "broker"]
    assert (check.ok, check.said) == (False, "192.0.2.1: not connected yet")


def test_a_bad_configuration_is_named_and_the_rest_is_looked_at(config: Path) -> None:
    config.write_text("[mqtt]\nport = 'x'\n")
    checks = looked(config)
    assert not checks["configuration"].ok
    assert "mqtt.port" in checks["configuration"].said
    assert checks["clock"].ok
    assert len(checks) == 7


def test_no_targets_is_a_problem(config: Path, tmp_path: Path) -> None:
    (tmp_path / "targets").write_text("")
    assert "nothing to measure" in looked(config)["configuration"].said


def test_every_problem_has_its_cure(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> Link:
        return Link()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(doctor, "synchronised", lambda: False)
    monkeypatch.setattr("probe.agent.line.detect", down)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(100_000_000))
    monkeypatch.setattr(doctor, "_may_capture", lambda: False)
    config.write_text(config.read_text() + f'mqtt = {{ host = "127.0.0.1", port = {port} }}\n')
    checks = looked(config)
    ill = {name for name, check in checks.items() if not check.ok}
    assert ill == {"daemon", "permission", "clock", "route", "broker", "disk"}
    assert all(checks[name].mend for name in ill)
    assert "refused" in checks["broker"].said
    assert "100 MB free" in checks["disk"].said


def test_a_folder_that_cannot_be_written_is_a_problem(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    disk = looked(config)["disk"]
    assert not disk.ok
    assert "can't be written" in disk.said


def test_what_this_user_may_not_the_daemon_may(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_may_capture", lambda: False)
    probe, control = ProbeConfig(state_dir=str(tmp_path / "state")), ControlConfig(socket=str(tmp_path / "control"))

    async def scene() -> list[Check]:
        async with Session(Config(probe=probe, control=control), [], make_runner):
            return await examine(config)

    checks = {check.name: check for check in asyncio.run(scene())}
    assert checks["permission"].ok
    assert "the daemon's" in checks["permission"].said


def test_looking_changes_nothing(config: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    looked(config)
    assert sorted(tmp_path.iterdir()) == before
