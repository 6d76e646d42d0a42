"""Rates out of samples; exact tests against counting by hand."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._throttle.stats import area, ks, pieces, rate, ratio, unevenness
from probe.model.exchange import Exchange, Sample, TransferStep

DOWN = TransferStep(address="203.0.113.9", port=443, payload=b"1234567890")
UP = TransferStep(address="203.0.113.9", port=443, payload=b"1234567890", upload=1000)


def seen(*samples: Sample, step: TransferStep = DOWN, **what: object) -> Exchange:
    return Exchange(step=step, samples=samples, sent_at=0.1, **what)  # type: ignore[arg-type]


def test_the_rate_is_that_of_the_second_half() -> None:
    slow_start = seen(Sample(1.0, 10, 100), Sample(2.0, 10, 1100), Sample(4.0, 10, 9100))
    assert rate(slow_start) == pytest.approx(4000)
    burst = seen(Sample(0.1, 10, 50_000), Sample(2.0, 10, 51_000), Sample(3.0, 10, 52_000), Sample(4.0, 10, 53_000))
    assert rate(burst) == pytest.approx(1000)
    assert rate(seen(Sample(0.5, 10, 5000))) == pytest.approx(10_000)
    assert rate(seen(Sample(0.1, 10, 5000), Sample(0.101, 10, 5000))) == pytest.approx(5000 / 0.101)
    assert rate(seen(Sample(1.0, 510, 0), Sample(2.0, 1010, 0), step=UP)) == pytest.approx(500)


def test_what_never_began_has_no_rate() -> None:
    assert rate(seen()) is None
    assert rate(seen(Sample(1.0, 0, 9), failure="lost_race")) is None
    assert rate(Exchange(step=DOWN, samples=(Sample(1.0, 0, 9),))) is None
    assert rate(seen(Sample(1.0, 10, 0), Sample(2.0, 10, 0))) == 0


def test_pieces_show_how_even_it_is() -> None:
    even = seen(*(Sample(n / 10, 10, n * 100) for n in range(1, 41)))
    assert pieces(even) == pytest.approx([1000.0] * len(pieces(even)), rel=0.3)
    assert len(pieces(even)) >= 3
    assert unevenness(pieces(even)) < 0.01
    assert pieces(seen()) == []


def by_hand(low: list[float], high: list[float]) -> float:
    """Over all ways to choose the first group."""
    def farthest(one: list[float], other: list[float]) -> float:
        return max(sum(x <= at for x in one) / len(one) - sum(x <= at for x in other) / len(other)
                   for at in (*one, *other))  # fmt: skip

    seen, everything = farthest(low, high), [*low, *high]
    ways = list(combinations(range(len(everything)), len(low)))
    as_far = 0
    for chosen in ways:
        one = [everything[i] for i in chosen]
        other = [x for i, x in enumerate(everything) if i not in chosen]
        as_far += farthest(one, other) >= seen - 1e-9
    return as_far / len(ways)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True), st.integers(1, 7))
def test_the_exact_test_counts_right(values: list[int], size: int) -> None:
    low, high = [float(x) for x in values[:size]], [float(x) for x in values[size:]]
    assert ks(low, high) == pytest.approx(by_hand(low, high) if low and high else 1.0)


def test_complete_separation_is_one_choice_of_all() -> None:
    assert ks([1, 2, 3], [4, 5, 6]) == pytest.approx(1 / 20)
    assert ks([float(n) for n in range(7)], [float(n) for n in range(7, 14)]) == pytest.approx(1 / 3432)
    assert ks([4, 5, 6], [1, 2, 3]) == ks([], [1]) == ks([1], []) == 1.0
    assert ks([1, 1, 1], [1, 1, 1]) == 1.0


def test_chance_keeps_its_promise() -> None:
    random = Random(1)
    found = [ks([random.random() for _ in range(6)], [random.random() for _ in range(6)]) for _ in range(2000)]
    assert sum(p <= 0.05 for p in found) <= 0.07 * 2000


def test_area_and_ratio() -> None:
    assert area([10, 10], [100, 100]) == pytest.approx(0.9)
    assert area([1, 2, 3], [1, 2, 3]) == 0
    assert area([], [1]) == area([0], [0]) == 0
    assert ratio([10, 20, 30], [40, 40, 40]) == 2
    assert ratio([0], [50_000]) == 1000
    assert ratio([], [1]) == 1
    assert unevenness([]) == unevenness([5]) == unevenness([0, 0]) == 0
