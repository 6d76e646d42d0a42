"""The E-model: what G.107 and G.113 say of G.711, and what no input may break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._voip import mos as m

SHARE = st.floats(0, 1)
SECONDS = st.floats(0, 5)


def test_a_call_that_nothing_impairs_is_g_711_at_its_best() -> None:
    assert m.mos(m.rating(0, 1, 0)) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "score"), [(0, 1.0), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.02), (90, 4.34), (100, 4.5)]
)
def test_the_scores_of_annex_b(r: float, score: float) -> None:
    assert m.mos(r) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(("loss", "bpl", "impairment"), [(0.01, 4.3, 17.92), (0.05, 4.3, 51.08), (0.05, 25.1, 15.78)])
def test_loss_by_the_formula(loss: float, bpl: float, impairment: float) -> None:
    assert m.impairment_by_loss(loss, 1.0, bpl) == pytest.approx(impairment, abs=0.01)


def test_delay_hurts_little_up_to_177_ms_and_more_beyond() -> None:
    assert m.impairment_by_delay(0.1) == pytest.approx(2.4)
    assert m.impairment_by_delay(0.3) == pytest.approx(0.024 * 300 + 0.11 * 122.7)


def test_random_loss_has_a_burst_ratio_of_one_and_bursts_more() -> None:
    assert m.burst_ratio([True] * 10) == m.burst_ratio([False] * 10) == m.burst_ratio([]) == 1.0
    assert m.burst_ratio([True, False] * 5) == 1.0
    assert m.burst_ratio([True] * 90 + [False] * 10) == pytest.approx(9.0)


def test_from_mouth_to_ear() -> None:
    assert m.mouth_to_ear(0.1, 0.0) == pytest.approx(0.09)
    assert m.mouth_to_ear(0.1, 0.03) == pytest.approx(0.13)


@given(SHARE, SHARE, st.floats(1, 500), SECONDS, SECONDS)
def test_worse_never_sounds_better(loss: float, more: float, burst: float, delay: float, later: float) -> None:
    low, high = sorted((loss, more))
    soon, late = sorted((delay, later))
    assert 1.0 <= m.mos(m.rating(high, burst, soon)) <= 4.5
    assert m.rating(high, burst, late) <= m.rating(low, burst, soon) + 1e-9


@given(st.lists(st.booleans(), max_size=200))
def test_a_burst_ratio_is_at_least_one(arrived: list[bool]) -> None:
    assert 1.0 <= m.burst_ratio(arrived) <= max(1, len(arrived))
