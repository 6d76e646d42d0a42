"""Exact tests against enumeration: every way of choosing, counted."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._exact import midranks, permutation, wilson
from probe.measurements._proof import by_chance

FEW = st.lists(st.integers(0, 4), min_size=1, max_size=6)


def test_equals_share_their_rank() -> None:
    assert midranks([3.0, 1.0, 3.0]) == [5, 2, 5]
    assert midranks([]) == []


@given(FEW, FEW)
def test_it_counts_all_ways(worse: list[int], others: list[int]) -> None:
    ranks = midranks([*worse, *others])
    wanted = sum(ranks[: len(worse)])
    ways = list(combinations(ranks, len(worse)))
    assert permutation(worse, others) == pytest.approx(sum(sum(way) >= wanted for way in ways) / len(ways))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_of_yes_and_no_it_is_fisher_s_test(made: int, twins: int, data: st.DataObject) -> None:
    hits, twin_hits = data.draw(st.integers(0, made)), data.draw(st.integers(0, twins))
    worse = [1.0] * hits + [0.0] * (made - hits)
    others = [1.0] * twin_hits + [0.0] * (twins - twin_hits)
    assert permutation(worse, others) == pytest.approx(by_chance(hits, made, twin_hits, twins))


def test_nothing_to_compare_with_proves_nothing() -> None:
    assert permutation([1.0], []) == permutation([], [1.0]) == 1.0


def test_seven_against_seven_is_one_in_3432() -> None:
    assert permutation([0.9] * 7, [0.0] * 7) == pytest.approx(1 / 3432)


def test_an_interval_holds_the_share() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(3, 10) == pytest.approx((0.1078, 0.6032), abs=1e-4)
