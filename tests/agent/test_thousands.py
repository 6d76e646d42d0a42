"""The desk for work by the thousand: what fits, what is refused, what the log says; and the real engine's manners:
nobody is starved, and memory goes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.agent.asked import Asked, read
from probe.agent.pause import Pause, PausedError
from probe.agent.thousands import Engine, Thousands, give_back
from probe.engine.bulk.rows import Told
from probe.engine.bulk.wanted import Wanted
from probe.engine.run import EngineRunner
from probe.lab.lab import Lab
from probe.model.config import Config, ProbeConfig
from probe.model.errors import CannotMeasure, ColibriError, UsageError
from probe.model.outcome import Outcome
from tests.agent.fake_daemon import FakeRunner


class Fake(FakeRunner):
    """As many rows as there are targets. "hangs" never ends, "fails" can't be done."""

    def __init__(self) -> None:
        self.under_way = self.most = 0
        self.asked: list[Wanted] = []
        self.begun = asyncio.Event()

    async def by_the_thousand(self, wanted: Wanted) -> Told:
        self.asked.append(wanted)
        self.begun.set()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(3600 if "hangs" in wanted.targets else 0.01)
        finally:
            self.under_way -= 1
        if "fails" in wanted.targets:
            raise CannotMeasure("no route", "plug it in")
        rows = ({"target": target, "port": 80, "said": "open"} for target in wanted.targets)
        return Told(rows, False, len(wanted.targets), 0)


def desk(folder: Path, runner: Any = None) -> Thousands:
    return Thousands(runner or Fake(), Pause(folder), Asked(folder))


def log(folder: Path) -> list[tuple[str, str, str]]:
    return [(one.outcome, one.subject, one.reason) for one in read(folder)]


def test_a_job_is_done_and_in_the_log(tmp_path: Path) -> None:
    told = asyncio.run(desk(tmp_path).perform(Wanted("ports", targets=["a", "b", "c", "d"])))
    assert [row["target"] for row in told.rows] == ["a", "b", "c", "d"]
    subject = "ports of 4 targets: a, b, c, …"
    assert log(tmp_path) == [("accepted", subject, ""), ("done", subject, "4 packets")]


def test_one_that_fails_is_in_the_log_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="plug it in"):
        asyncio.run(desk(tmp_path).perform(Wanted("ports", targets=["fails"])))
    assert log(tmp_path)[-1] == ("failed", "ports of 1 targets: fails", "no route (plug it in)")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(Wanted("sweep", targets=["a"] * 10_001), "10,001 are more than the 10,000"),
     (Wanted("ports", targets=["a"] * 1000, ports=list(range(1, 62))), "61,000 are more than the 60,000"),
     (Wanted("dns", targets=["a"] * 60_001), "60,001 are more than the 60,000")],
)  # fmt: skip
def test_what_would_not_fit_is_refused(tmp_path: Path, wanted: Wanted, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        asyncio.run(desk(tmp_path).perform(wanted))
    ((outcome, _, reason),) = log(tmp_path)
    assert outcome == "refused"
    assert words in reason


def test_a_pause_refuses_a_job_and_breaks_one_off(tmp_path: Path) -> None:
    async def scene() -> None:
        pause, runner = Pause(tmp_path), Fake()
        thousands = Thousands(runner, pause, Asked(tmp_path))
        job = asyncio.create_task(thousands.perform(Wanted("ports", targets=["hangs"])))
        await runner.begun.wait()
        pause.hold("home")
        with pytest.raises(PausedError, match="broken off"):
            await job
        assert not runner.under_way
        with pytest.raises(PausedError):
            await thousands.perform(Wanted("ports", targets=["a"]))
        assert len(runner.asked) == 1

    asyncio.run(scene())
    assert [one[0] for one in log(tmp_path)] == ["accepted", "failed", "refused"]


def test_one_that_nobody_waits_for_is_broken_off(tmp_path: Path) -> None:
    async def scene() -> None:
        runner = Fake()
        job = asyncio.create_task(desk(tmp_path, runner).perform(Wanted("ports", targets=["hangs"])))
        await runner.begun.wait()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert not runner.under_way

    asyncio.run(scene())
    assert log(tmp_path)[-1][::2] == ("failed", "broken off: nobody waits for it any more")


def test_a_runner_that_only_measures_says_so(tmp_path: Path) -> None:
    class Bare:
        async def run(self, _m: str, _o: Mapping[str, object], _p: Callable[[str], None]) -> Outcome:
            raise AssertionError

    with pytest.raises(ColibriError, match="no work by the thousand"):
        asyncio.run(desk(tmp_path, Bare()).perform(Wanted("ports", targets=["a"])))
    assert isinstance(EngineRunner(Config()), Engine)


MANY = [f"203.0.{113 + i // 250}.{1 + i % 250}" for i in range(10_000)]
SLICE = 0.15
"""Seconds of this thread's own CPU that a job may keep others waiting: a watchdog waits for minutes, a board is twenty
times as slow."""


@pytest.fixture
def busy_line(tmp_path: Path) -> Iterator[EngineRunner]:
    """An engine with all the packets that the configuration allows, at a router that knows the way to nothing."""
    with Lab.chain(1, rtt=0.002) as lab, lab.enter("chain"):
        config = lab.config("chain")
        safety = msgspec.structs.replace(
            config.safety, allow_networks=["203.0.0.0/16"], packets_per_second=20_000,
            target_packets_per_second=20_000, bytes_per_day=10**9,
        )  # fmt: skip
        yield EngineRunner(Config(safety=safety, probe=ProbeConfig(state_dir=str(tmp_path))))


async def waited(job: asyncio.Task[Told]) -> float:
    """The most seconds of CPU for which a job had this thread without giving others a turn."""
    most, before = 0.0, time.thread_time()
    while not job.done():
        await asyncio.sleep(0)
        most, before = max(most, time.thread_time() - before), time.thread_time()
    return most


def memory() -> float:
    """MB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.lab
def test_nobody_is_starved_by_ten_thousand_targets_and_their_memory_goes_back(
    busy_line: EngineRunner, tmp_path: Path
) -> None:
    async def job() -> float:
        thousands = desk(tmp_path, busy_line)
        running = asyncio.create_task(thousands.perform(Wanted("sweep", targets=MANY, hops=1)))
        longest = await waited(running)
        told = running.result()
        rows = list(told.rows)
        assert [row["target"] for row in rows] == MANY
        assert told.packets >= len(MANY)
        return longest

    assert asyncio.run(job()) < SLICE
    give_back()
    before = memory()
    asyncio.run(job())
    give_back()
    assert memory() < before + 4
