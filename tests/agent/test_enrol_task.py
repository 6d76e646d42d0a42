"""Enrolment by itself: tries until it is done, renews in time, and never stops the daemon's heart."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from probe.agent.backoff import Backoff
from probe.agent.enrol import RefusedError
from probe.agent.enrol_task import enrol, keep
from probe.collector.enrol.desk import Desk
from probe.collector.instants import DAY, now
from probe.model.config import EnrolmentConfig
from probe.model.enrol import Enrolled, Reason, Refusal
from probe.model.errors import ColibriError, ConfigError
from tests.agent.conftest import eventually, until
from tests.collector.enrol.server import Server
from tests.deploy.test_broker import Town
from tests.deploy.test_mosquitto import Peer

ANSWER = Enrolled(
    name="p-one", certificate="-----BEGIN X-----\n", authority="-----BEGIN X-----\n", now="", renew_after="", expires=""
)


def refused(reason: Reason, after: float = 0.0) -> RefusedError:
    return RefusedError(Refusal(reason, after))


class Script:
    """An enrolment whose answers are given; what was asked is in ``asked``."""

    def __init__(self, first: list[Any] | None = None, renew: list[Any] | None = None) -> None:
        self._answers = {"first": first or [], "renew": renew or []}
        self.asked: list[str] = []
        self.blind, self.is_due = False, True
        self.looked = 0
        self.threads: set[str] = set()

    def due(self) -> bool:
        self.looked += 1
        return self.is_due or self.blind

    def first(self) -> Enrolled:
        return self._next("first")

    def renew(self) -> Enrolled:
        return self._next("renew")

    def _next(self, what: str) -> Enrolled:
        self.asked.append(what)
        self.threads.add(threading.current_thread().name)
        answer = self._answers[what].pop(0) if self._answers[what] else ANSWER
        if isinstance(answer, Exception):
            raise answer
        return ANSWER


def test_it_tries_until_it_is_enrolled() -> None:
    script, said, beats = Script([OSError("no route"), ConnectionResetError(), ColibriError("odd")]), list[str](), [0]

    def beat() -> None:
        beats[0] += 1

    async def scene() -> None:
        await enrol(script, Backoff(Random(1), first=0.02), beat, said.append, tick=0.01)  # type: ignore[arg-type]

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert script.asked == ["first"] * 4
    assert said == ["not enrolled: no route", "not enrolled: ConnectionResetError", "not enrolled: odd"]
    assert beats[0] > 4
    assert script.threads == {"enrol"}


def test_it_waits_as_long_as_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def pause(seconds: float, *_: object) -> None:
        slept.append(seconds)

    monkeypatch.setattr("probe.agent.enrol_task._pause", pause)
    script = Script([refused("too_many", 42.0), refused("bad_code"), ConfigError("enrol.code", "is missing")])

    async def scene() -> None:
        await enrol(script, Backoff(Random(1)), lambda: None, lambda _: None)  # type: ignore[arg-type]

    asyncio.run(scene())
    assert slept[:2] == [42.0, 3600.0]
    assert 0 < slept[2] <= 1


def keeping(script: Script, has_code: bool = False, looks: int = 4) -> int:
    """Let it look a few times; how often it has become another probe."""
    renamed = [0]

    def note() -> None:
        renamed[0] += 1

    async def scene() -> None:
        beats = [0]

        def beat() -> None:
            beats[0] += 1

        task = asyncio.create_task(
            keep(script, has_code, note, beat, look=0.01, tick=0.005)  # type: ignore[arg-type]
        )
        end = script.looked + looks
        await until(lambda: script.looked >= end)  # the one before the last is over then
        assert not task.done()
        assert beats[0]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    return renamed[0]


def test_it_renews_only_when_it_is_time() -> None:
    script = Script()
    script.is_due = False
    keeping(script)
    assert script.asked == []
    script.is_due = True
    keeping(script)
    assert set(script.asked) == {"renew"}


def test_trouble_never_ends_it() -> None:
    script = Script(renew=[OSError("no route"), refused("too_early"), ConfigError("x", "y"), refused("revoked")])
    assert keeping(script, looks=8) == 0
    assert len(script.asked) > 4


def test_without_a_clock_it_asks_once_a_day() -> None:
    script = Script()
    script.is_due, script.blind = False, True
    keeping(script, looks=5)
    assert 1 <= len(script.asked) <= 2


def test_who_can_not_renew_any_more_uses_a_new_code() -> None:
    script = Script(renew=[refused("too_late")] * 50, first=[refused("bad_code"), ANSWER] + [refused("bad_code")] * 50)
    assert keeping(script, has_code=True, looks=8) == 1
    assert "first" in script.asked


@pytest.mark.parametrize("reason", ["too_many", "bad_request"])
def test_a_passing_refusal_costs_no_code(reason: Reason) -> None:
    script = Script(renew=[refused(reason)] * 50)
    assert keeping(script, has_code=True) == 0
    assert "first" not in script.asked


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    one = Town(tmp_path / "town")
    yield one
    one.close()


@pytest.mark.loopback
def test_a_daemon_with_a_code_enrols_publishes_and_is_out_when_it_is_revoked(tmp_path: Path, town: Town) -> None:
    """All of it: code, certificate, broker, a finding; a daemon that is started anew; a revocation."""
    server = Server(town.folder, town.broker.port)
    code = Desk(EnrolmentConfig(), server.authority, server.register).hand_out("", now(), DAY)
    (tmp_path / "targets").write_text('[[targets]]\ntarget = "a"\nmeasurements = ["dns_injection"]\n')
    config = tmp_path / "colibri.toml"
    config.write_text(
        f'[probe]\nstate_dir = "{tmp_path}/state"\n[safety]\ntarget_spacing = 0.0\n[schedule]\nevery = 1.0\n'
        f'[control]\nsocket = "{tmp_path}/control"\n[targets]\nfiles = ["targets"]\n[mqtt]\nresend_after = 1.0\n'
        f'[enrol]\nserver = "{server.url}"\ncode = "{code}"\nfingerprint = "{server.authority.fingerprint}"\n'
    )
    town.join("collector")
    collector = Peer(town.broker, "collector")
    collector.hear("colibri/v1/#")

    def findings() -> list[str]:
        return [topic for topic, _ in collector.heard if "/finding/" in topic]

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fake_daemon.py")), str(config)],
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    daemon = start()
    try:
        eventually(findings, within=60)
        (row,) = server.register.probes()
        assert set(findings()) == {f"colibri/v1/{row.name}/finding/dns_injection"}
        daemon.terminate()
        assert daemon.wait(20) == 0
        collector.heard.clear()
        server.close()  # it is not needed any more: the certificate is good for a month
        daemon = start()
        eventually(findings, within=60)
        done = town.revoke(row.name)
        assert done.cut_after is not None
        assert done.cut_after < 5
        before = len(findings())
        eventually(lambda: "no connection to the broker" in (tmp_path / "log").read_text(), within=30)
        assert len(findings()) == before
        assert daemon.poll() is None  # it goes on measuring; findings wait in the spool
    finally:
        daemon.kill()
        daemon.wait()
        collector.close()
    assert "Traceback" not in (tmp_path / "log").read_text()
