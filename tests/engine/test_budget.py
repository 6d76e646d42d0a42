"""The packet budget: no second holds too many, no day too much, and no trick with targets gets around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.budget import HANDSHAKE, Budget, Rate
from probe.model.config import SafetyConfig
from probe.model.errors import BudgetExhausted

ASKS = st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, HANDSHAKE)), min_size=1, max_size=150)
"""(seconds since the one before, packets)."""


def busiest(sent: list[tuple[float, int]]) -> int:
    """Most packets in any second: one that begins at a packet is as busy as any."""
    return max(sum(n for at, n in sent if start <= at < start + 1 - 1e-6) for start, _ in sent)


@given(st.integers(HANDSHAKE, 400), ASKS)
def test_no_second_holds_more_than_the_rate(per_second: int, asks: list[tuple[float, int]]) -> None:
    rate, now, sent = Rate(per_second), 1000.0, []
    for pause, units in asks:
        now += pause
        while wait := rate.wait(now, units):
            now += wait
        rate.use(now, units)
        sent.append((now, units))
    assert busiest(sent) <= per_second


@given(st.integers(1, HANDSHAKE - 1), st.integers(1, 30))
def test_less_than_a_handshake_a_second_is_kept_over_time(per_second: int, handshakes: int) -> None:
    rate, now = Rate(per_second), 0.0
    for _ in range(handshakes):
        while wait := rate.wait(now, HANDSHAKE):
            now += wait
        rate.use(now, HANDSHAKE)
    assert now >= (handshakes - 1) * HANDSHAKE / per_second - 1e-6


def test_a_rate_is_used_to_the_full() -> None:
    rate, now, sent = Rate(200), 0.0, 0
    while now < 10:
        now += rate.wait(now)
        rate.use(now)
        sent += 1
    assert 1800 <= sent <= 2000


def test_debts_are_waited_for() -> None:
    rate = Rate(100)
    rate.use(0.0, 100)
    assert rate.wait(0.0) == pytest.approx(1.0, abs=0.05)
    assert not rate.idle(0.5)
    assert rate.idle(2.0)


@given(
    st.integers(HANDSHAKE, 100),
    st.integers(HANDSHAKE, 100),
    st.lists(st.tuples(st.floats(0, 0.2), st.sampled_from(["198.51.100.1", "2001:db8::1"])), min_size=1, max_size=120),
)
def test_line_and_target_are_both_kept(line: int, target: int, asks: list[tuple[float, str]]) -> None:
    budget = Budget(SafetyConfig(packets_per_second=line, target_packets_per_second=target))
    now, sent = 50.0, []
    for pause, address in asks:
        now += pause
        while wait := budget.take(address, 1, 60, now, "2026-01-01"):
            now += wait
        sent.append((now, 1, address))
    assert busiest([(at, n) for at, n, _ in sent]) <= line
    for address in {one for _, _, one in sent}:
        assert busiest([(at, n) for at, n, one in sent if one == address]) <= target
    assert budget.used == 60 * len(asks)


def test_what_was_not_allowed_was_not_taken() -> None:
    budget = Budget(SafetyConfig(packets_per_second=100, target_packets_per_second=10))
    taken = 0
    while not budget.take("198.51.100.1", 1, 100, 0.0, "d"):
        taken += 1
    assert taken <= 10
    assert budget.used == 100 * taken
    assert budget.wait("198.51.100.1", 1, 0.0) > 0
    assert budget.take("198.51.100.2", 1, 100, 0.0, "d") == 0.0  # the line has room for others


def test_many_targets_are_no_way_around_the_pace_of_one() -> None:
    budget = Budget(SafetyConfig(packets_per_second=20000, target_packets_per_second=10))
    victim, now = "203.0.113.1", 0.0
    for _ in range(4):
        assert budget.take(victim, 1, 60, now, "d") == 0.0
    others = iter(range(1 << 20))
    for _ in range(3):
        for _ in range(4200):
            number = next(others)
            now += 0.00001
            budget.wait(f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", 1, now)
        assert budget.take(victim, 1, 60, now, "d") > 0
    assert len(budget._targets) <= 4097


def test_busy_targets_are_remembered_however_many() -> None:
    budget = Budget(SafetyConfig(packets_per_second=20000, target_packets_per_second=4))
    addresses = [f"198.18.{n >> 8}.{n & 255}" for n in range(5000)]
    for address in addresses:
        budget.spend(address, 4, 240, 0.0, "d")
    assert all(budget.wait(address, 1, 0.5) > 0 for address in addresses)


def test_another_spelling_is_the_same_target() -> None:
    budget = Budget(SafetyConfig(packets_per_second=1000, target_packets_per_second=4))
    budget.spend("2001:db8::1", 4, 240, 0.0, "d")
    assert budget.wait("2001:DB8:0::1", 1, 0.0) > 0


def test_the_day_has_its_end_and_its_morning() -> None:
    kept: list[tuple[str, int]] = []

    def save(day: str, used: int) -> int:
        kept.append((day, used))
        return used

    budget = Budget(SafetyConfig(bytes_per_day=1000), lambda: ("2026-01-01", 900), save)
    assert budget.take("198.51.100.1", 1, 100, 0.0, "2026-01-01") == 0.0
    with pytest.raises(BudgetExhausted, match="midnight"):
        budget.take("198.51.100.1", 1, 1, 0.0, "2026-01-01")
    budget.flush()
    assert budget.take("198.51.100.1", 1, 1, 1.0, "2026-01-02") == 0.0
    budget.flush()
    assert kept == [("2026-01-01", 1000), ("2026-01-02", 1)]


def test_a_step_larger_than_the_rest_of_the_day_takes_nothing() -> None:
    budget = Budget(SafetyConfig(bytes_per_day=1000))
    with pytest.raises(BudgetExhausted):
        budget.take("198.51.100.1", 1, 1001, 0.0, "d")
    assert budget.used == 0
    assert budget.wait("198.51.100.1", 4, 0.0) == 0.0


@given(st.integers(30, 400), ASKS, st.floats(0.1, 0.5))
def test_beside_a_reserved_stream_no_second_holds_more_either(
    per_second: int, asks: list[tuple[float, int]], share: float
) -> None:
    rate, now = Rate(per_second), 1000.0
    stream = max(1, int(rate.room() * share))
    rate.reserve(stream)
    sent: list[tuple[float, int]] = []
    for pause, units in asks:
        now += pause
        while wait := rate.wait(now, units):
            now += wait
        rate.use(now, units)
        sent.append((now, units))
    media = [(1000.0 + n / stream, 1) for n in range(int((now - 1000.0) * stream) + 1)]
    assert busiest(sorted([*sent, *media])) <= per_second + 1  # a window's two edges


def test_what_is_reserved_is_given_back() -> None:
    rate = Rate(200)
    before = rate.room()
    rate.reserve(50)
    assert (rate.room(), rate.room(beside=False)) == (before - 50, before)
    assert not rate.idle(1e9)
    rate.reserve(-50)
    assert rate.room() == before
    assert rate.idle(1e9)


def test_a_stream_takes_its_bytes_at_once_and_returns_what_it_did_not_send() -> None:
    budget = Budget(SafetyConfig(bytes_per_day=10_000, packets_per_second=200, target_packets_per_second=60))
    assert budget.carries("198.51.100.1", 50, 0.0)
    assert not budget.carries("198.51.100.1", 60, 0.0)
    assert budget.reserve("198.51.100.1", 40, 6000, 0.0, "2026-01-01")
    assert not budget.reserve("198.51.100.1", 40, 100, 0.0, "2026-01-01")  # no room beside the first
    assert budget.reserve("198.51.100.2", 40, 100, 0.0, "2026-01-01")
    with pytest.raises(BudgetExhausted):
        budget.reserve("198.51.100.2", 1, 6000, 0.0, "2026-01-01")
    budget.release("198.51.100.1", 40, 1.0)
    assert budget.reserve("198.51.100.1", 40, 100, 1.0, "2026-01-01")
    budget.give_back(5000, "2026-01-01")
    assert budget.used == 1200
    budget.give_back(5000, "2026-01-02")  # another day's
    assert budget.used == 1200
