"""``colibri status``: what the daemon says, or that it does not run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from probe.agent.session import Session
from probe.cli import main as cli
from probe.cli.status import lines
from probe.model.config import Config, ControlConfig, LineConfig, ProbeConfig, TargetEntry
from tests.agent.fake_daemon import make_runner

pytestmark = pytest.mark.loopback


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "colibri.toml"
    path.write_text(f'control.socket = "{tmp_path}/control"\n')
    return path


def with_daemon(folder: Path, *words: str) -> int:
    running = Config(
        probe=ProbeConfig(id="p-1", state_dir=str(folder / "state")),
        line=LineConfig(operator="Operator A", country="MA"),
        control=ControlConfig(socket=str(folder / "control")),
    )

    async def scene() -> int:
        async with Session(running, [TargetEntry("a", measurements=["dns_injection"])], make_runner):
            return await asyncio.to_thread(cli.main, ["status", *words])

    return asyncio.run(scene())


def test_it_says_what_the_daemon_does(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert with_daemon(tmp_path, "--config", str(config)) == 0
    out = capsys.readouterr().out
    assert "probe     p-1 (colibri " in out
    assert "line      Operator A, MA, unknown; " in out
    assert "feed      no broker configured" in out
    assert "planned   1 measurements" in out


def test_json_is_one_object(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert with_daemon(tmp_path, "--json", "--config", str(config)) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["probe"] == "p-1"


def test_no_daemon_is_one_line_and_status_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--config", str(config)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "colibri: the daemon does not run (sudo systemctl start colibri, or: colibri run)\n"


def test_trouble_shows() -> None:
    status: dict[str, Any] = {
        "probe": "p-1", "software": "colibri 1", "since": "2026-01-01T00:00:00.000Z", "planned": 2,
        "line": {"operator": "", "asn": 0, "country": "", "access": "unknown"},
        "link": {"up": False, "interface": ""},
        "feed": {"host": "broker.example", "connected": False, "trouble": "Not authorized"},
        "spool": {"depth": 3, "bytes": 1, "dropped": {"clean": 2}},
        "counts": {"clean": 4, "failed": 1}, "paused": {"home": "2026-01-01T00:00:00.000Z"},
        "running": [{"measurement": "tcp_reset", "target": "a"}],
        "next": [{"in_s": 12.4, "measurement": "dns_injection", "target": "b"}],
        "stalled": ["publisher"],
    }  # fmt: skip
    told = "\n".join(lines(status))
    for words in (
        "down, or not known yet", "broker.example: Not authorized", "3 findings wait; 2 were dropped",
        "4 clean, 1 failed", "now       tcp_reset a", "next      in 12 s: dns_injection b", "stuck     publisher",
        "PAUSED    by the home since 2026-01-01",
    ):  # fmt: skip
        assert words in told
