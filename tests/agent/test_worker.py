"""The worker: what ends, what fails, what hangs, and what is handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from probe.agent.jobs import Job
from probe.agent.schedule import Planner
from probe.agent.worker import Worker
from probe.model.outcome import Outcome
from tests.agent.fake_daemon import FakeRunner


def job(target: str, every: float = 3600.0) -> Job:
    return Job(target, "dns_injection", target, target, "", every, {"target": target})


def make(
    *targets: str, every: float = 3600.0, deliver: Callable[[Outcome, Job], Awaitable[None]] | None = None, **more: Any
) -> tuple[Worker, list[str], Planner]:
    delivered: list[str] = []

    async def keep(outcome: Outcome, one: Job) -> None:
        assert outcome.judgement.target.input == one.target
        delivered.append(one.target)

    planner = Planner(Random(1), spacing=0.0, jitter=0.0)
    planner.plan([job(t, every) for t in targets], {}, now=0.0, start_within=0.0)
    return Worker(planner, FakeRunner(), deliver or keep, **more), delivered, planner


def test_once_each_job_has_its_turn_and_a_failure_takes_none_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    worker, delivered, _ = make("a", "fails", "breaks", "interfered", "z", once=True)
    asyncio.run(asyncio.wait_for(worker.run(), 10))
    assert sorted(delivered) == ["a", "interfered", "z"]
    assert worker.counts == {"clean": 2, "interfered": 1, "failed": 2}
    assert "no route (plug it in)" in caplog.text
    assert "ZeroDivisionError: a fault" in caplog.text


def test_what_takes_too_long_is_cancelled_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    worker, delivered, planner = make("hangs", limit=0.05)

    async def scene() -> None:
        task = asyncio.create_task(worker.run())
        while not worker.counts["failed"]:  # noqa: ASYNC110 - the counter is all there is to see
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())
    assert "took more than 0 s" in caplog.text
    assert delivered == []
    ((_, again),) = planner.upcoming(0.0)
    assert again.target == "hangs"


def test_a_failed_one_comes_back_sooner_than_its_rhythm() -> None:
    worker, _, planner = make("fails", clock=lambda: 0.0)

    async def scene() -> None:
        task = asyncio.create_task(worker.run())
        while not worker.counts["failed"]:  # noqa: ASYNC110 - the counter is all there is to see
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())
    ((due, _),) = planner.upcoming(0.0)
    assert due == 120.0


def test_while_it_is_held_nothing_begins_and_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.agent.worker._TICK", 0.005)
    held = True
    beats: list[float] = []
    worker, delivered, _ = make("a", hold=lambda: held, beat=lambda: beats.append(0.0))

    async def scene() -> None:
        nonlocal held
        task = asyncio.create_task(worker.run())
        while len(beats) < 5:  # noqa: ASYNC110 - the beats are all there is to see
            await asyncio.sleep(0.005)
        assert delivered == []
        held = False
        while not delivered:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(asyncio.wait_for(scene(), 10))
    assert delivered == ["a"]


def test_a_delivery_that_fails_ends_the_worker_with_its_reason() -> None:
    async def fail(_outcome: Outcome, _job: Job) -> None:
        raise OSError("the disk is full")

    worker, _, _ = make("a", "b", deliver=fail)
    with pytest.raises(OSError, match="the disk is full"):
        asyncio.run(asyncio.wait_for(worker.run(), 10))


def test_the_end_of_the_worker_ends_what_is_under_way() -> None:
    worker, delivered, planner = make("hangs")

    async def scene() -> None:
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(0.05)
        assert [one.target for one in planner.running] == ["hangs"]
        task.cancel()
        await asyncio.wait([task])
        assert planner.running == []

    asyncio.run(scene())
    assert delivered == []


def test_progress_stops_when_a_cancelled_measurement_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.agent.worker._TICK", 0.005)
    now = 0.0
    beats: list[float] = []
    worker, _, _ = make("hangs", "late", clock=lambda: now, beat=lambda: beats.append(now), limit=1e6)

    async def scene() -> None:
        nonlocal now
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(0.05)
        assert len(beats) > 2
        now = 1e6 + 59
        await asyncio.sleep(0.05)
        assert beats[-1] == now
        now = 1e6 + 61
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scene())
    assert max(beats) == 1e6 + 59
