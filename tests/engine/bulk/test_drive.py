"""Driving jobs: alone, and beside others who wait for the line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator

import pytest

from probe.engine.budget import Budget
from probe.engine.bulk.drive import alone, beside
from probe.engine.pace import Pace
from probe.model.config import SafetyConfig
from probe.model.errors import CannotMeasure


def job(seconds: float, times: int, ended: list[str], *, fails: bool = False) -> Generator[float, None, str]:
    try:
        for _ in range(times):
            yield seconds
        if fails:
            raise CannotMeasure("no")
        return "done"
    finally:
        ended.append("ended")


def test_alone_it_takes_its_time_and_ends() -> None:
    ended: list[str] = []
    begun = time.monotonic()
    assert alone(job(0.01, 5, ended)) == "done"
    assert time.monotonic() - begun >= 0.05
    with pytest.raises(CannotMeasure):
        alone(job(0.0, 1, ended, fails=True))
    assert ended == ["ended", "ended"]


def test_beside_others_nobody_is_held_up() -> None:
    ended: list[str] = []

    async def run() -> tuple[str, float]:
        pace = Pace(Budget(SafetyConfig()))
        task = asyncio.ensure_future(beside(job(0.05, 10, ended), pace))
        await asyncio.sleep(0.01)
        begun = time.monotonic()
        await pace.allow("8.8.8.8", 1, 60)
        return await task, time.monotonic() - begun

    result, total = asyncio.run(run())
    assert result == "done"
    assert total >= 0.4
    assert ended == ["ended"]


def test_beside_others_it_waits_its_turn_and_can_be_broken_off() -> None:
    ended: list[str] = []

    async def run() -> None:
        pace = Pace(Budget(SafetyConfig()))
        async with pace.turn:
            task = asyncio.ensure_future(beside(job(0.01, 3, ended), pace))
            await asyncio.sleep(0.03)
            assert not task.done()
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(CannotMeasure):
            await beside(job(0.0, 1, ended, fails=True), pace)

    asyncio.run(run())
    assert ended == ["ended", "ended"]
