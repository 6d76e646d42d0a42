"""Waiting for the budget: fair, exact, and a slow target holds up nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest

from probe.engine.budget import Budget
from probe.engine.pace import Pace
from probe.model.config import SafetyConfig
from probe.model.errors import BudgetExhausted


def leave(safety: SafetyConfig, *addresses: str) -> list[tuple[float, str]]:
    """When each packet was let go, asked for all at once."""
    sent: list[tuple[float, str]] = []

    async def one(pace: Pace, address: str) -> None:
        await pace.allow(address, 1, 60)
        sent.append((time.monotonic(), address))

    async def all_of_them() -> None:
        pace = Pace(Budget(safety))
        await asyncio.gather(*(one(pace, address) for address in addresses))

    asyncio.run(all_of_them())
    return sent


def test_packets_leave_at_the_pace_of_the_line_in_order() -> None:
    addresses = [f"198.51.100.{n}" for n in range(150)]
    sent = leave(SafetyConfig(packets_per_second=400, target_packets_per_second=400), *addresses)
    assert [address for _, address in sent] == addresses
    first = sent[0][0]
    assert sent[-1][0] - first >= 110 / 400  # 40 may leave at once
    assert sent[50][0] > first


def test_a_slow_target_does_not_hold_up_the_others() -> None:
    slow, quick = ["198.51.100.1"] * 8, [f"203.0.113.{n}" for n in range(40)]
    sent = leave(SafetyConfig(packets_per_second=2000, target_packets_per_second=20), *slow, *quick)
    ends = {address: at for at, address in sent}
    assert max(ends[address] for address in quick) < ends["198.51.100.1"]
    times = [at for at, address in sent if address == "198.51.100.1"]
    assert times[-1] - times[0] >= 4 / 20


def test_the_days_end_is_told_to_whoever_asks() -> None:
    with pytest.raises(BudgetExhausted):
        leave(SafetyConfig(bytes_per_day=1000), *["198.51.100.1"] * 20)


def test_what_was_sent_unasked_is_waited_for() -> None:
    async def run() -> float:
        pace = Pace(Budget(SafetyConfig(packets_per_second=100, target_packets_per_second=100)))
        pace.spend("198.51.100.1", 30, 1800)
        begun = time.monotonic()
        await pace.allow("198.51.100.1", 1, 60)
        return time.monotonic() - begun

    assert asyncio.run(run()) > 0.15


def test_a_count_is_kept() -> None:
    kept: list[int] = []

    def save(_day: str, used: int) -> int:
        kept.append(used)
        return used

    pace = Pace(Budget(SafetyConfig(), save=save))
    asyncio.run(pace.allow("198.51.100.1", 1, 77))
    pace.flush()
    assert kept == [77]


def test_a_stream_has_its_share_whatever_others_send() -> None:
    late: list[float] = []
    others: list[float] = []

    async def stream(pace: Pace) -> None:
        async with pace.reserved("198.51.100.1", 50, 1000):
            for _ in range(50):
                late.append(time.monotonic())
                await asyncio.sleep(0.02)

    async def other(pace: Pace) -> None:
        await asyncio.sleep(0.01)
        while True:
            await pace.allow("198.51.100.2", 1, 60)
            others.append(time.monotonic())

    async def run() -> None:
        pace = Pace(Budget(SafetyConfig(packets_per_second=200, target_packets_per_second=200)))
        beside = asyncio.create_task(other(pace))
        await stream(pace)
        beside.cancel()

    asyncio.run(run())
    everything = sorted(late + others)
    assert max(sum(start <= at < start + 1 for at in everything) for start in everything) <= 205  # late wake-ups
    assert len(others) >= 100


def test_streams_wait_for_room_and_bytes_go_back() -> None:
    async def run() -> float:
        budget = Budget(SafetyConfig(packets_per_second=100, target_packets_per_second=100))
        pace = Pace(budget)
        assert pace.carries("198.51.100.1", 80)
        assert not pace.carries("198.51.100.1", 100)

        async def one() -> None:
            async with pace.reserved("198.51.100.1", 50, 1000):
                await asyncio.sleep(0.2)

        begun = time.monotonic()
        await asyncio.gather(one(), one())
        assert budget.used == 2000
        pace.give_back(1500)
        assert budget.used == 500
        return time.monotonic() - begun

    assert asyncio.run(run()) >= 0.4
