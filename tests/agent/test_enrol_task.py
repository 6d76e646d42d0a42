"""Enrolment by itself: tries until it is done, renews in time, and never stops the daemon's heart."""

from __future__ import annotations

import asyncio
import threading
from random import Random
from typing import Any

import pytest

from probe.agent.backoff import Backoff
from probe.agent.enrol import RefusedError
from probe.agent.enrol_task import enrol, keep
from probe.model.enrol import Enrolled, Reason, Refusal
from probe.model.errors import ColibriError, ConfigError

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
        self.threads: set[str] = set()

    def due(self) -> bool:
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
            keep(script, has_code, note, beat, look=0.02, tick=0.005)  # type: ignore[arg-type]
        )
        await asyncio.sleep(0.02 * looks + 0.3)
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
