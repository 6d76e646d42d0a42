"""Clocks: the time line of a run holds while the system's clock is set."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.clock import Timeline, synchronised

SECOND = 1_000_000_000


class Clocks:
    """A wall clock that can be set, and a steady one."""

    def __init__(self) -> None:
        self.offset, self.steady = 1_700_000_000 * SECOND, 5 * SECOND

    def wall(self) -> int:
        """What the kernel stamps with."""
        return self.steady + self.offset


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_without_a_step_stamps_stay_as_they_are(clocks: Clocks) -> None:
    line = Timeline(clocks.wall, lambda: clocks.steady)
    clocks.steady += 3 * SECOND
    line.refresh()
    assert line.now() == clocks.wall()
    assert line.place(clocks.wall() - 7) == clocks.wall() - 7
    assert not line.stepped


@given(
    st.lists(st.integers(-(10**9), 10**9).filter(lambda s: abs(s) > 1), min_size=1, max_size=4),
    st.integers(0, SECOND // 10),
)
def test_a_step_changes_no_distance(steps: list[int], age: int) -> None:
    clocks = Clocks()
    line = Timeline(clocks.wall, lambda: clocks.steady)
    first = line.now()
    for number, seconds in enumerate(steps, 1):
        clocks.steady += SECOND
        before = clocks.wall() - age
        clocks.offset += seconds * SECOND
        after = clocks.wall()
        line.refresh()
        assert line.place(after) == first + number * SECOND
        assert line.place(before) == first + number * SECOND - age
        assert line.now() == first + number * SECOND
    assert line.stepped


def test_a_clock_that_is_slewed_has_not_stepped(clocks: Clocks) -> None:
    line = Timeline(clocks.wall, lambda: clocks.steady)
    clocks.offset += 1_000_000
    line.refresh()
    assert not line.stepped


def test_a_moment_without_the_processor_is_no_step() -> None:
    clocks, calls = Clocks(), iter(range(100))

    def steady() -> int:
        if next(calls) > 4:  # the scheduler came between each two readings
            clocks.steady += SECOND
        return clocks.steady

    line = Timeline(clocks.wall, steady)
    line.refresh()
    assert not line.stepped


def test_the_systems_own_clocks_agree() -> None:
    line = Timeline()
    line.refresh()
    assert abs(line.now() - time.time_ns()) < SECOND
    assert not line.stepped


def test_synchronised_asks_and_sets_nothing() -> None:
    before = time.time() - time.monotonic()
    assert isinstance(synchronised(), bool)
    assert abs(time.time() - time.monotonic() - before) < 0.1
