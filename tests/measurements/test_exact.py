"""Exact tests against enumeration: every way of choosing, counted."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._exact import permutation, wilson
from probe.measurements._proof import by_chance

FEW = st.lists(st.integers(0, 50), min_size=1, max_size=6)


@given(FEW, FEW)
def test_it_counts_all_ways(worse: list[int], others: list[int]) -> None:
    wanted = sum(worse)
    ways = list(combinations([*worse, *others], len(worse)))
    found = permutation([one / 50 for one in worse], [one / 50 for one in others])
    assert found == pytest.approx(sum(sum(way) >= wanted for way in ways) / len(ways))


@given(st.lists(st.integers(0, 10), min_size=41, max_size=50), st.lists(st.integers(0, 10), min_size=41, max_size=50))
def test_of_many_it_is_as_exact(worse: list[int], others: list[int]) -> None:
    """The other group's complement: what is as high in one is as low in the other, and what is equal counts twice."""
    one = permutation([x / 10 for x in worse], [x / 10 for x in others])
    other = permutation([1 - x / 10 for x in worse], [1 - x / 10 for x in others])
    assert one + other >= 1
    assert one == pytest.approx(permutation([1 - x / 10 for x in others], [1 - x / 10 for x in worse]))


def test_a_few_that_fail_altogether_among_ordinary_losses() -> None:
    """By ranks this would be one in fifty: those that did not fail lost less than their twins."""
    assert permutation([1.0] * 13 + [0.02] * 17, [0.06] * 30) < 1e-4


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
    assert permutation([0.9] * 7, [0.0, 0.02, 0.04, 0.0, 0.08, 0.1, 0.0]) == pytest.approx(1 / 3432)


def test_an_interval_holds_the_share() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(3, 10) == pytest.approx((0.1078, 0.6032), abs=1e-4)
