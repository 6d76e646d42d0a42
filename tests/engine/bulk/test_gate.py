"""The gate: nothing gets by the guard or the budget, however much is asked for at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.budget import HEADERS, Budget
from probe.engine.bulk.drive import alone
from probe.engine.bulk.gate import PORTION, Gate
from probe.engine.guard import Guard
from probe.model.config import SafetyConfig
from probe.model.errors import BudgetExhausted, ForbiddenDestination, UsageError

ADDRESSES = [f"8.8.4.{n}" for n in range(6)]


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def gate(safety: SafetyConfig) -> tuple[Gate, Clock, Budget]:
    clock, budget = Clock(), Budget(safety)
    return Gate(Guard(), budget, clock, lambda: "2026-11-22"), clock, budget


def test_one_forbidden_address_stops_all() -> None:
    opened, _, budget = gate(SafetyConfig())
    with pytest.raises(ForbiddenDestination, match="private"):
        opened.admit(["8.8.8.8", "192.168.1.1"])
    with pytest.raises(UsageError):
        opened.admit(["8.8.8.8", "nonsense"])
    assert budget.used == 0


def test_thousands_are_admitted_as_a_few_are_and_others_get_their_turn() -> None:
    many = [f"9.{a}.{b}.1" for a in range(9) for b in range(250)]
    opened, _, _ = gate(SafetyConfig())
    turns = list(opened.admit_many(many))
    assert turns == [0.0] * 2 * -(-len(many) // PORTION)
    held = alone(opened.admit_many([*many, many[0]]))
    assert len(held.rates) == len(many) + 1
    assert held.rates[0] is held.rates[-1]
    assert held.rates[:-1] == opened.admit(many).rates
    with pytest.raises(ForbiddenDestination, match="private"):
        alone(opened.admit_many([*many, "192.168.1.1"]))


@given(
    st.integers(10, 400),
    st.integers(4, 400),
    st.lists(st.tuples(st.floats(0, 0.2), st.lists(st.integers(0, 5), min_size=1, max_size=80)), max_size=25),
)
def test_no_second_holds_more_than_the_line_or_an_address_may_get(
    line: int, each: int, rows: list[tuple[float, list[int]]]
) -> None:
    opened, clock, budget = gate(SafetyConfig(packets_per_second=line, target_packets_per_second=each))
    rates = opened.admit(ADDRESSES).rates
    sent: list[tuple[float, int]] = []
    for pause, row in rows:
        clock.now += pause
        left = row
        for _ in range(3):
            taken, delay = opened.take([rates[i] for i in left], HEADERS)
            sent += [(clock.now, i) for i in left[:taken]]
            left = left[taken:]
            assert (delay > 0) == bool(left)
            clock.now += delay
            if not left:
                break
    assert budget.used == HEADERS * len(sent)
    for start, _ in sent:
        second = [i for at, i in sent if start <= at < start + 1 - 1e-6]
        assert len(second) <= line
        assert max(second.count(i) for i in set(second)) <= each


def test_what_may_leave_at_once_is_what_may_leave_one_by_one() -> None:
    safety = SafetyConfig(packets_per_second=100, target_packets_per_second=50)
    opened, clock, _ = gate(safety)
    rates = opened.admit(ADDRESSES).rates
    assert opened.take(rates * 3, HEADERS)[0] == 10  # a tenth of a second's, at once
    clock.now += 60.0
    single = Budget(safety)
    one_by_one = 0
    while not single.take(ADDRESSES[one_by_one % 6], 1, HEADERS, 60.0, "2026-11-22"):
        one_by_one += 1
    assert opened.take(rates * 3, HEADERS)[0] == one_by_one == 10


def test_the_days_bytes_end_it() -> None:
    opened, clock, budget = gate(SafetyConfig(bytes_per_day=1000))
    rates = opened.admit(ADDRESSES).rates
    assert opened.take(rates * 2, 300)[0] == 3
    clock.now += 10
    with pytest.raises(BudgetExhausted):
        opened.take(rates, 300)
    assert budget.used == 900


def test_what_the_kernel_sends_is_counted_and_delays_the_next() -> None:
    opened, _, budget = gate(SafetyConfig(packets_per_second=100, target_packets_per_second=100))
    (rate,) = opened.admit(["8.8.8.8"]).rates
    opened.spend(rate, 30, 1800)
    assert budget.used == 1800
    taken, delay = opened.take([rate], HEADERS)
    assert taken == 0
    assert delay > 0.1


def test_an_allowance_that_somebody_holds_is_not_forgotten() -> None:
    opened, _, budget = gate(SafetyConfig())
    mine = opened.admit(["8.8.8.8"])
    opened.admit([f"9.{a}.{b}.1" for a in range(20) for b in range(250)])  # more than are remembered
    assert opened.admit(["8.8.8.8"]).rates == mine.rates
    assert budget.used == 0
