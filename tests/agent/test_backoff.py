"""Delays grow, stay in their bounds, and begin anew."""

from __future__ import annotations

from random import Random

from probe.agent.backoff import Backoff


def test_delays_double_up_to_the_most_with_half_of_them_chance() -> None:
    backoff = Backoff(Random(1), first=1.0, most=120.0)
    delays = [backoff.next() for _ in range(12)]
    for delay, ceiling in zip(delays, [1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120], strict=True):
        assert ceiling / 2 <= delay <= ceiling
    assert len(set(delays[7:])) == 5


def test_it_begins_anew_after_a_success() -> None:
    backoff = Backoff(Random(1))
    for _ in range(2000):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 1.0
