"""From a look to the delivery: once each, in order, through failures, pauses and restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from probe.collector.notify.desk import FIRST_WAIT, LONGEST_WAIT, Desk, Subscription, wait_after
from probe.collector.notify.memory import Memory
from probe.collector.notify.message import Notification
from probe.collector.store import IncidentRow
from probe.model.config import NotifyConfig
from probe.model.errors import StoreError
from tests.collector.notify.cases import MINUTE, NOW, row, subscription


class Town:
    """The incidents that there are, a clock, and a courier that writes down what it took."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.rows: list[IncidentRow] = []
        self.at = NOW
        self.taken: list[Notification] = []
        self.tries = 0
        self.trouble = ""

    def incidents(self, limit: int) -> list[IncidentRow]:
        return self.rows[:limit]

    async def deliver(self, notification: Notification, at: int) -> str:
        assert at == self.at
        self.tries += 1
        if not self.trouble:
            self.taken.append(notification)
        return self.trouble

    def desk(self, memory: Memory, *configs: NotifyConfig) -> Desk:
        everyone = [Subscription(config, self) for config in configs or (subscription(),)]
        return Desk(everyone, memory, self, site="", now=lambda: self.at, chance=Random(1))

    def round(self, desk: Desk, after: int = MINUTE) -> list[str]:
        """One look and what follows from it, later; the titles that were taken."""
        self.at += after
        before = len(self.taken)
        desk.look()
        asyncio.run(desk.deliver())
        return [one.title.partition(":")[0] for one in self.taken[before:]]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "findings.sqlite3")


@pytest.fixture
def memory(town: Town) -> Iterator[Memory]:
    with closing(Memory(town.path)) as memory:
        yield memory


def test_each_change_is_told_once(town: Town, memory: Memory) -> None:
    desk = town.desk(memory)
    assert town.round(desk) == []
    town.rows = [row()]
    assert town.round(desk) == ["Interference has begun"]
    assert town.round(desk) == []
    town.rows = [row(closed=True)]
    assert town.round(desk) == ["Interference has ended"]
    assert town.round(desk) == []


def test_a_restart_repeats_nothing(town: Town) -> None:
    for rows, said in [
        ([row()], ["Interference has begun"]),
        ([row()], []),
        ([row(closed=True)], ["Interference has ended"]),
    ]:
        with closing(Memory(town.path)) as memory:
            town.rows = rows
            assert town.round(town.desk(memory)) == said


def test_what_was_due_when_it_was_killed_is_delivered_by_the_next(town: Town) -> None:
    with closing(Memory(town.path)) as memory:
        town.rows = [row()]
        town.desk(memory).look()
    with closing(Memory(town.path)) as memory:
        assert town.round(town.desk(memory)) == ["Interference has begun"]
        assert town.round(town.desk(memory)) == []


def test_a_change_that_goes_again_within_the_pause_is_never_told(town: Town, memory: Memory) -> None:
    desk = town.desk(memory, subscription(settle=600.0))
    town.round(desk)
    town.rows = [row()]
    assert town.round(desk) == []
    town.rows = []
    assert town.round(desk, 9 * MINUTE) == []
    town.rows = [row()]
    assert town.round(desk) == []
    assert town.round(desk, 10 * MINUTE) == ["Interference has begun"]


def test_many_at_once_are_one_message(town: Town, memory: Memory) -> None:
    desk = town.desk(memory, subscription(digest=3))
    town.rows = [row(f"{i:016x}", target=f"{i}.example") for i in range(4)]
    assert town.round(desk) == ["4 changes of incidents"]
    assert [event.target for event in town.taken[0].events] == [f"{i}.example" for i in range(4)]
    assert town.round(desk) == []


def test_what_opens_target_by_target_is_gathered(town: Town, memory: Memory) -> None:
    desk = town.desk(memory, subscription(settle=600.0, digest=1))
    titles: list[str] = []
    for i in range(60):
        town.rows.append(row(f"{i:016x}", target=f"{i}.example"))
        titles += town.round(desk)
    assert len(titles) == 5, "one each ten minutes, not sixty"
    town.round(desk, 10 * MINUTE)
    assert sum(len(one.events) for one in town.taken) == 60


def test_a_failure_is_repeated_under_the_same_name_and_keeps_the_order(town: Town, memory: Memory) -> None:
    desk = town.desk(memory)
    town.trouble = "answered with status 500"
    town.rows = [row()]
    assert town.round(desk) == []
    assert desk.trouble == {"newsroom": "answered with status 500"}
    town.rows = [row(closed=True)]
    assert town.round(desk, 1) == []
    assert town.tries == 1, "not before its time"
    town.trouble = ""
    assert town.round(desk) == ["Interference has begun", "Interference has ended"]
    assert desk.trouble == {}


def test_what_was_taken_is_not_sent_again_when_the_memory_can_not_be_told(
    town: Town, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = town.desk(memory, subscription(), subscription(name="other"))
    done, troubles = memory.done, iter([StoreError("database is locked")])

    def moody(seq: int) -> None:
        for trouble in troubles:
            raise trouble
        done(seq)

    monkeypatch.setattr(memory, "done", moody)
    town.rows = [row()]
    with pytest.raises(StoreError, match="locked"):
        town.round(desk)
    assert len(town.taken) == 2, "the others are not held up"
    assert town.round(desk) == []
    assert (memory.next("newsroom"), memory.next("other")) == (None, None)


def test_one_who_does_not_answer_keeps_nobody_else_waiting(town: Town, memory: Memory) -> None:
    deaf = Town(Path(town.path))
    deaf.trouble = "closed"
    deaf.at = town.at + MINUTE
    everyone = [Subscription(subscription(name="closed"), deaf), Subscription(subscription(), town)]
    desk = Desk(everyone, memory, town, site="", now=lambda: town.at)
    town.rows = [row()]
    assert town.round(desk) == ["Interference has begun"]
    assert desk.trouble == {"closed": "closed"}


def test_what_can_not_be_delivered_for_days_is_given_up_and_said(
    town: Town, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    desk = town.desk(memory, subscription(give_up=3600.0))
    town.trouble = "gone"
    town.rows = [row()]
    town.round(desk)
    with caplog.at_level(logging.ERROR):
        town.round(desk, 61 * MINUTE)
    assert "newsroom: given up 'Interference has begun" in caplog.text
    assert memory.next("newsroom") is None


def test_waits_double_up_to_an_hour() -> None:
    waits = [wait_after(failures, Random(7)) for failures in (0, 1, 2, 50, 5000)]
    assert 0.5 * FIRST_WAIT <= waits[0] <= FIRST_WAIT
    assert [later / waits[0] for later in waits[1:3]] == pytest.approx([2, 4])
    assert 0.5 * LONGEST_WAIT <= waits[3] == waits[4] <= LONGEST_WAIT


def test_it_runs_until_it_is_cancelled_and_a_store_that_fails_is_tried_again(
    town: Town, memory: Memory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("probe.collector.notify.desk.LOOK", 0.0)
    troubles = iter([StoreError("disk I/O error")])

    def incidents(limit: int) -> list[IncidentRow]:
        for trouble in troubles:
            raise trouble
        return [row()][:limit]

    async def main() -> None:
        taken = asyncio.Event()

        async def deliver(notification: Notification, at: int) -> str:
            town.taken.append(notification)
            taken.set()
            return ""

        monkeypatch.setattr(town, "incidents", incidents)
        monkeypatch.setattr(town, "deliver", deliver)
        running = asyncio.create_task(town.desk(memory).run())
        await asyncio.wait_for(taken.wait(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "disk I/O error" in caplog.text
    assert len(town.taken) == 1
