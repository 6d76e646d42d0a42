"""Ad hoc runs: through the daemon where one listens, else in this process, signed where a key can be kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from probe.agent import adhoc
from probe.agent.control import ControlSocket, MeasureRequest
from probe.agent.findings import assemble
from probe.agent.pause import Pause, PausedError
from probe.model.canonical import verify
from probe.model.config import Config, ControlConfig, LineConfig, ProbeConfig
from probe.model.errors import CannotMeasure, ColibriError, UsageError
from probe.model.finding import Evidence, Finding, Judgement, Line, Probe, Target
from probe.model.outcome import Outcome
from tests.agent.test_thousands import desk

pytestmark = pytest.mark.loopback

OUTCOME = Outcome(
    measurement="dns_injection", version="1", started=1.0, duration=0.5, clock="synchronised", evidence=Evidence(),
    judgement=Judgement(verdict="clean", rule="r", target=Target("example.com")), pcapng=b"packets",
)  # fmt: skip


class FakeRunner:
    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []

    async def run(self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None]) -> Outcome:
        self.asked.append((measurement, dict(options)))
        progress("at work")
        return OUTCOME


def config(folder: Path, socket: str = "") -> Config:
    return Config(
        probe=ProbeConfig(id="p-desk", state_dir=str(folder)),
        line=LineConfig("Operator A", 64500, "MA", "fixed"),
        control=ControlConfig(socket=socket, group=""),
    )


def run_here(settings: Config) -> tuple[Finding, bytes, FakeRunner, list[str]]:
    runner, heard = FakeRunner(), list[str]()
    finding, packets = asyncio.run(
        adhoc.in_process(runner, settings, "dns_injection", {"target": "example.com"}, heard.append)
    )
    return finding, packets, runner, heard


def test_in_process_the_finding_bears_line_and_signature(tmp_path: Path) -> None:
    finding, packets, runner, heard = run_here(config(tmp_path))
    assert runner.asked == [("dns_injection", {"target": "example.com"})]
    assert (packets, heard) == (b"packets", ["at work"])
    assert finding.probe.id == "p-desk"
    assert finding.line == Line("Operator A", 64500, "MA", "fixed")
    assert verify(msgspec.to_builtins(finding))


def test_a_paused_device_measures_nothing_here_either(tmp_path: Path) -> None:
    Pause(tmp_path).hold("home")
    with pytest.raises(PausedError):
        run_here(config(tmp_path))


def test_a_user_without_the_daemons_folder_has_an_own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    finding, *_ = run_here(config(Path("/proc/nobody-can-write-here")))
    assert verify(msgspec.to_builtins(finding))
    assert (tmp_path / "mine/colibri/device-key.pem").stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_kept_the_finding_is_unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nor-here")
    finding, *_ = run_here(config(Path("/proc/nobody-can-write-here")))
    assert finding.signature is None
    assert finding.probe.id == adhoc.UNSAVED


Answer = Callable[[MeasureRequest], tuple[Finding, bytes]]


def ask_daemon(folder: Path, answer: Answer) -> tuple[tuple[Finding, bytes] | None, list[str]]:
    settings = config(folder, str(folder / "control.sock"))
    heard: list[str] = []

    async def measure(request: MeasureRequest, progress: Callable[[str], None]) -> tuple[Finding, bytes]:
        progress("the daemon is at work")
        return answer(request)

    async def both() -> tuple[Finding, bytes] | None:
        async with ControlSocket(folder / "control.sock", "", measure, dict, Pause(folder), desk(folder)):
            return await adhoc.through_daemon(settings, "dns_injection", {"target": "example.com"}, heard.append)

    return asyncio.run(both()), heard


def test_a_daemon_that_listens_is_asked(tmp_path: Path) -> None:
    made = assemble(OUTCOME, probe=Probe("p-1", "c"), line=Line(), group="", entropy=os.urandom)

    def answer(request: MeasureRequest) -> tuple[Finding, bytes]:
        assert (request.measurement, request.options) == ("dns_injection", {"target": "example.com"})
        return made, b"its packets"

    assert ask_daemon(tmp_path, answer) == ((made, b"its packets"), ["the daemon is at work"])


@pytest.mark.parametrize("error", [UsageError("no such"), CannotMeasure("no line")])
def test_what_the_daemon_refuses_keeps_its_exit_status(tmp_path: Path, error: ColibriError) -> None:
    def answer(_: MeasureRequest) -> tuple[Finding, bytes]:
        raise error

    with pytest.raises(ColibriError, match=str(error)) as caught:
        ask_daemon(tmp_path, answer)
    assert caught.value.exit_status == error.exit_status


def test_without_a_daemon_nobody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "stale.sock").touch()
    for socket in ("", str(tmp_path / "none.sock"), str(tmp_path / "stale.sock")):
        settings = config(tmp_path, socket)
        assert asyncio.run(adhoc.through_daemon(settings, "dns_injection", {}, print)) is None
