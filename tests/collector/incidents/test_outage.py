"""When it failed for everybody, and when only here."""

from __future__ import annotations

from probe.collector.incidents.model import HOUR
from probe.collector.incidents.outage import Word, failing

KINDS: dict[str, Word] = {"g": "good", "b": "bad", "d": "down"}


def said(**words: str) -> dict[str, dict[int, Word]]:
    """A word an hour: g, b, d, or "." for none."""
    return {name: {h * HOUR: KINDS[w] for h, w in enumerate(word) if w in KINDS} for name, word in words.items()}


def hours(inside: dict[str, dict[int, Word]], outside: dict[str, dict[int, Word]]) -> list[int]:
    return sorted(hour // HOUR for hour in failing((h * HOUR for h in range(10)), inside, outside))


def test_what_works_outside_fails_nowhere_else() -> None:
    assert hours(said(a="ggbbbbgggg", b="ggbbbbgggg"), said(x="g" * 10)) == []


def test_what_fails_outside_too_fails_for_everybody_and_a_little_longer() -> None:
    assert hours(said(a="ggbbbbgggg"), said(x="gggdd.gggg")) == [3, 4, 5]
    assert hours(said(a="ggbbbbgggg"), said(x="g..b...g..")) == [1, 2, 3, 4, 5, 6]


def test_one_of_three_outside_is_not_everybody() -> None:
    assert hours(said(a="bbbbbbbbbb"), said(x="g" * 10, y="g" * 10, z="bbbbbbbbbb")) == []
    assert hours(said(a="bbbbbbbbbb"), said(x="g" * 10, z="bbbbbbbbbb")) == list(range(10))


def test_where_nobody_measured_outside_those_inside_tell() -> None:
    assert hours(said(a="gggbbbbggg", b="gggddddggg"), {}) == [3, 4, 5, 6]
    assert hours(said(a="gggbbbbggg", b="gggbbbbggg", c="gggddddggg"), {}) == []
    assert hours(said(a="gggbbbbggg"), {}) == []
    assert hours({}, {}) == []


def test_a_word_a_day_old_says_nothing() -> None:
    early = {"x": {-25 * HOUR: KINDS["d"]}}
    assert hours(said(a="b"), early) == []
