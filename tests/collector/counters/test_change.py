"""Change over a time: from which reading, by how many, how fast."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.counters.change import HOUR, SPAN, over
from probe.collector.counters.ledger import Reading


def test_from_the_newest_reading_that_is_old_enough() -> None:
    readings = [Reading(0, 999), Reading(10 * HOUR, 1000), Reading(11 * HOUR, 900), Reading(SPAN + 10 * HOUR, 750, 10)]
    change = over(readings, SPAN)
    assert change is not None
    assert (change.then, change.now, change.whole) == (readings[1], readings[3], True)
    assert (change.by, change.share, change.step) == (-250, -0.25, 10)
    assert change.per_minute == pytest.approx(-250 / (72 * 60))


def test_where_there_is_less_it_says_so() -> None:
    change = over([Reading(0, 5), Reading(HOUR, 7)], SPAN)
    assert change is not None
    assert (change.by, change.whole) == (2, False)


def test_one_reading_is_no_change_and_none_is_nothing() -> None:
    alone = over([Reading(7, 5)], SPAN)
    assert alone is not None
    assert (alone.by, alone.per_minute, alone.whole) == (0, 0.0, False)
    assert over([], SPAN) is None


def test_a_share_of_nothing_is_none() -> None:
    change = over([Reading(0, 0), Reading(HOUR, 7)], HOUR)
    assert change is not None
    assert change.share is None


@given(st.lists(st.integers(0, 10**9), min_size=1, unique=True), st.integers(0, 10**9))
def test_the_two_are_readings_in_order(times: list[int], span: int) -> None:
    readings = [Reading(at, at % 97) for at in sorted(times)]
    change = over(readings, span)
    assert change is not None
    assert change.now == readings[-1]
    assert change.then in readings
    assert change.whole is (change.now.at - change.then.at >= span)
    assert not change.whole or not [r for r in readings if change.then.at < r.at <= change.now.at - span]
