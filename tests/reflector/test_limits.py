"""Buckets fill at their rate, and a flood of keys costs no memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.reflector.limits import Bucket, Limits, Table


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 20)), max_size=60))
def test_a_bucket_never_gives_more_than_its_burst_and_rate(steps: list[tuple[float, float]]) -> None:
    bucket, now, taken, forward = Bucket(10.0, 0.0), 0.0, 0.0, 0.0
    for ahead, amount in steps:
        now += ahead
        forward += max(0.0, ahead)
        taken += amount if bucket.take(amount, 3.0, 10.0, now) else 0.0
    assert taken <= 10.0 + 3.0 * forward + 1e-6


def test_a_bucket_fills_again() -> None:
    bucket = Bucket(2.0, 0.0)
    assert [bucket.take(1, 1.0, 2.0, 0.0) for _ in range(3)] == [True, True, False]
    assert bucket.take(1, 1.0, 2.0, 1.0)


def test_keys_do_not_take_from_each_other() -> None:
    table = Table(rate=1, burst=2, overall=100)
    assert [table.take(key, 0.0) for key in (b"a", b"a", b"a", b"b")] == [True, True, False, True]


def test_all_together_have_a_limit() -> None:
    table = Table(rate=1, burst=2, overall=10)
    assert sum(table.take(b"%d" % i, 0.0) for i in range(100)) == 10


def test_memory_is_bounded_and_the_busy_stay() -> None:
    table = Table(rate=1, burst=1, overall=1e9, most=100)
    table.take(b"busy", 0.0)
    for i in range(1000):
        table.take(b"%d" % i, 0.0)
        assert not table.take(b"busy", 0.0)
    assert len(table) == 100


def test_a_measurement_fits_the_limits() -> None:
    limits = Limits()
    assert all(limits.proven.take(b"home", i / 200) for i in range(2000))
    assert all(limits.bytes.take(b"home", float(i), 1_000_000) for i in range(6))


def test_what_is_given_back_can_be_taken_again() -> None:
    table = Table(rate=0, burst=10, overall=1e9)
    assert table.take(b"home", 0.0, 8)
    table.give(b"home", 5)
    table.give(b"stranger", 5)
    assert table.take(b"home", 0.0, 7)
    table.give(b"home", 1000)
    assert not table.take(b"home", 0.0, 11)
