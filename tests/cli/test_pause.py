"""``colibri pause``: by the daemon where it runs, by its file where it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from probe.agent.paths import PAUSED
from probe.agent.pause import Pause
from probe.agent.session import Session
from probe.cli import main as cli
from probe.model.config import Config, ControlConfig, ProbeConfig, TargetEntry
from tests.agent.fake_daemon import make_runner

pytestmark = pytest.mark.loopback


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "colibri.toml"
    path.write_text(f'control.socket = "{tmp_path}/control"\nprobe.state_dir = "{tmp_path}/state"\n')
    return str(path)


def with_daemon(folder: Path, *commands: list[str]) -> list[int]:
    running = Config(
        probe=ProbeConfig(id="p-1", state_dir=str(folder / "state")),
        control=ControlConfig(socket=str(folder / "control")),
    )

    async def scene() -> list[int]:
        async with Session(running, [TargetEntry("a", measurements=["dns_injection"])], make_runner):
            return [await asyncio.to_thread(cli.main, command) for command in commands]

    return asyncio.run(scene())


def test_a_paused_daemon_measures_nothing_and_says_so(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--config", config]
    assert with_daemon(tmp_path, ["pause", *at], ["status", *at]) == [0, 0]
    out = capsys.readouterr().out
    assert out.startswith("paused by the home since 2")
    assert "PAUSED    by the home since 2" in out
    assert Pause(tmp_path / "state").on
    # It lasts over the restart, and what is typed at the device does not get around it.
    assert with_daemon(tmp_path, ["resume", *at], ["status", *at]) == [0, 0]
    out = capsys.readouterr().out
    assert out.startswith("measuring goes on\n")
    assert "PAUSED" not in out


def test_without_a_daemon_it_is_for_its_next_start(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    assert cli.main(["pause", "--config", config]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the daemon does not run; it will find this when it starts\npaused by the home since 2")
    assert (tmp_path / "state" / PAUSED).exists()


def test_what_cannot_be_written_is_one_line_and_status_1(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").touch()  # a file where the folder should be
    assert cli.main(["pause", "--config", config]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"colibri: {tmp_path}/state can't be written: ")
    assert err.count("\n") == 1


def test_a_daemon_that_ended_midway_is_one_line(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> int:
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), tmp_path / "control")
        async with server:
            return await asyncio.to_thread(cli.main, ["pause", "--config", config])

    assert asyncio.run(scene()) == 1
    assert "the daemon gave no answer" in capsys.readouterr().err
