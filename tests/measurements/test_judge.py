"""Counting, confidence and wording."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._judge import confidence, hop, hops_away, is_home, milliseconds, plural, sooner, wilson_lower


@pytest.mark.parametrize(
    ("agreed", "made", "lower"), [(0, 0, 0.0), (0, 5, 0.0), (3, 3, 0.4385), (9, 10, 0.5958), (20, 20, 0.8389)]
)
def test_the_wilson_bound_is_that_of_the_tables(agreed: int, made: int, lower: float) -> None:
    assert wilson_lower(agreed, made) == pytest.approx(lower, abs=1e-4)


@given(st.integers(1, 200), st.data())
def test_confidence_lies_below_the_share_and_grows_with_agreement(made: int, data: st.DataObject) -> None:
    agreed = data.draw(st.integers(0, made - 1))
    assert 0 <= wilson_lower(agreed, made) <= agreed / made + 1e-12
    assert wilson_lower(agreed, made) <= wilson_lower(agreed + 1, made) < 1
    assert wilson_lower(made, made) < wilson_lower(made + 1, made + 1)


def test_confidence_pools_its_observations() -> None:
    assert confidence((3, 3), (6, 6), (11, 11)) == round(wilson_lower(20, 20), 3)
    assert confidence((3, 3), (0, 6)) < confidence((3, 3))
    assert confidence() == 0.0


@pytest.mark.parametrize(
    ("address", "home"),
    [
        ("0.0.0.1", True), ("::1", True), ("::a", True),
        ("198.51.100.1", False), ("2001:db8::1", False), ("10.0.0.1", False),
    ],
)
def test_stand_ins_are_the_homes(address: str, home: bool) -> None:
    assert is_home(address) is home
    assert hop(address).address == ("" if home else address)


def test_a_hop_that_does_not_answer_has_no_address() -> None:
    assert hop(None).address == ""


@pytest.mark.parametrize(
    ("ttl", "crossed"), [(64, 0), (63, 1), (56, 8), (128, 0), (120, 8), (255, 0), (247, 8), (32, 0), (33, 31)]
)
def test_routers_crossed_by_a_usual_initial_ttl(ttl: int, crossed: int) -> None:
    assert hops_away(ttl) == crossed


@pytest.mark.parametrize(
    ("after", "round_trip", "is_sooner"), [(0.01, 0.1, True), (0.07, 0.1, False), (0.001, 0.005, False)]
)
def test_sooner_needs_a_share_and_an_amount(after: float, round_trip: float, is_sooner: bool) -> None:
    assert sooner(after, round_trip) is is_sooner


def test_words() -> None:
    assert [plural(1, "trial"), plural(3, "trial"), plural(0, "trial")] == ["1 trial", "3 trials", "0 trials"]
    assert [milliseconds(0.0234), milliseconds(1.5), milliseconds(0.0004)] == ["23 ms", "1500 ms", "0.4 ms"]
