"""Waves without an ebb and paces too even: what machines do is flagged, what people do is not."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from probe.collector.counters.ledger import Reading
from probe.collector.counters.suspicion import EVEN, LEAST, Flag, flags

MINUTE = 60_000
DAY = 1440


def chance(random: Random, mean: float) -> int:
    """Poisson; by the normal distribution where the mean is large."""
    if mean > 200:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    bound, product, count = math.exp(-mean), random.random(), 0
    while product > bound:
        product *= random.random()
        count += 1
    return count


def history(
    seed: int = 1, *, days: int = 6, every: int = 15, pace: float = 2.0, uneven: float = 0.5, kept: int = 1,
    step: int = 1, wave: tuple[float, float] = (0, 80), power: bool = False, jump: int = 0, drip: int = 0,
    gaps: float = 0.0,
) -> list[Reading]:  # fmt: skip
    """A counter that people come to and leave, by day more than by night.

    ``wave``: so many people after the news, halving in so many minutes (fewer than none: they leave; ``power``: by a
    power law with a long tail); ``jump``: all at
    once; ``drip``: each interval, for twelve hours; ``kept``: intervals that a copy of the page is kept.
    """
    random = Random(seed)
    value, shown, mood, found = 100_000, 100_000, 0.0, list[Reading]()
    count = days * DAY // every
    start = 0.75 * count * every

    def come(minutes: float) -> float:
        if minutes <= 0:
            return 0.0
        left = (1 + minutes / (wave[1] / 4.66)) ** -0.4 if power else math.exp2(-minutes / wave[1])
        return abs(wave[0]) * (1 - left)

    for i in range(count):
        at = i * every
        mood = 0.95 * mood + random.gauss(0, 0.3 * uneven)
        usual = pace * every * (1 + 0.8 * math.sin(2 * math.pi * at / DAY))
        crowd = chance(random, come(at + every - start) - come(at - start))
        value += chance(random, usual * math.exp(mood)) + (crowd if wave[0] > 0 else -crowd)
        value -= chance(random, 0.7 * usual)
        value += jump if i == int(0.8 * count) else 0
        value += drip if int(0.8 * count) <= i < int(0.8 * count) + 12 * 60 // every else 0
        shown = value if i % kept == 0 else shown
        if random.random() >= gaps:
            found.append(Reading(at * MINUTE, shown // step * step, step))
    return found


PEOPLE: dict[str, dict[str, Any]] = {
    "every day": {}, "a busy page": {"pace": 40.0}, "moody": {"uneven": 1.5}, "a quiet page": {"pace": 0.02},
    "news": {"wave": (3000, 80)}, "great news": {"wave": (100_000, 80)}, "soon forgotten": {"wave": (50_000, 25)},
    "a long tail": {"wave": (50_000, 80), "power": True}, "a short begin": {"wave": (50_000, 30), "power": True},
    "a boycott": {"wave": (-30_000, 180)}, "a copy kept for an hour": {"kept": 4, "wave": (30_000, 80)},
    "a copy kept for a day": {"kept": 96, "wave": (30_000, 80), "days": 40},
    "rounded": {"step": 100, "wave": (30_000, 80)},
    "read each hour": {"every": 60, "wave": (30_000, 80), "days": 20}, "gaps": {"gaps": 0.3, "wave": (3000, 80)},
}  # fmt: skip


@pytest.mark.parametrize("case", PEOPLE)
def test_people_are_not_flagged(case: str) -> None:
    for seed in range(2):
        assert flags(history(seed, **PEOPLE[case]), 0) == [], seed


@pytest.mark.parametrize(
    ("changes", "jump"),
    [({}, 5000), ({}, -5000), ({"kept": 4}, 5000), ({"every": 60, "days": 20}, 20_000), ({"step": 100}, 5000),
     ({"wave": (3000, 80)}, 5000), ({"pace": 0.02}, 500), ({"gaps": 0.3}, 5000)],
)  # fmt: skip
def test_many_at_once_and_then_nobody_is_flagged_with_its_numbers(changes: dict[str, Any], jump: int) -> None:
    (flag,) = flags(history(jump=jump, **changes), 0)
    assert flag.kind == "wave"
    assert flag.by == pytest.approx(jump, rel=0.2)
    assert abs(flag.usual) < 0.1 * abs(jump)
    assert abs(flag.by - flag.usual) > 10 * flag.spread
    assert flag.ebb < flag.due
    assert flag.due > 0


def test_a_jump_is_not_judged_before_what_comes_after_it() -> None:
    readings = history(jump=5000)
    (flag,) = flags(readings, 0)
    upto = [reading for reading in readings if reading.at <= flag.until]
    assert flags(upto, 0) == []


def test_a_jump_on_a_page_that_stands_still_is_flagged_once_no_copy_explains_it() -> None:
    readings = [Reading(i * 15 * MINUTE, 1000 + i // 4) for i in range(200)]
    last = readings[-1]
    after = [Reading(last.at + i * 15 * MINUTE, last.value + 5000) for i in range(1, 12)]
    assert flags([*readings, *after[:4]], 0) == [], "the page may show a copy that is kept for an hour"
    assert [flag.by for flag in flags([*readings, *after], 0)] == [5000]


def test_without_a_history_nothing_is_usual() -> None:
    readings = [Reading(i * 15 * MINUTE, 1000 + 3 * i + (5000 if i > LEAST - 5 else 0)) for i in range(LEAST)]
    assert flags(readings, 0) == []
    assert flags([], 0) == []
    assert flags([Reading(0, 5)], 0) == []


def test_only_what_is_asked_for_is_judged() -> None:
    readings = history(jump=5000)
    (flag,) = flags(readings, 0)
    assert flags(readings, flag.until) == [flag]
    assert flags(readings, flag.until + 1) == []


@pytest.mark.parametrize("drip", [30, -30])
def test_a_pace_too_even_for_people_is_flagged(drip: int) -> None:
    found = [flag for flag in flags(history(pace=0.05, drip=drip), 0) if flag.kind == "even"]
    assert found
    for flag in found:
        assert flag.usual == pytest.approx(drip, rel=0.1)
        assert flag.spread > 2 * flag.ebb


def test_an_even_pace_of_few_or_of_a_rounded_number_says_nothing() -> None:
    few = [Reading(i * 15 * MINUTE, 1000 + 4 * i) for i in range(4 * EVEN)]
    rounded = [Reading(i * 15 * MINUTE, 100_000 + 100 * i, 100) for i in range(4 * EVEN)]
    irregular = [Reading((i * 15 + i % 3 * 5) * MINUTE, 1000 + 30 * i) for i in range(4 * EVEN)]
    for readings in (few, rounded, irregular):
        assert [flag for flag in flags(readings, 0) if flag.kind == "even"] == []


def test_the_same_readings_say_the_same() -> None:
    readings = history(jump=5000, drip=30, pace=0.05)
    assert flags(readings, 0) == flags(list(readings), 0)
    assert all(isinstance(flag, Flag) for flag in flags(readings, 0))


@pytest.mark.long
def test_how_often_people_are_flagged_in_a_month() -> None:
    cases = [{**case, "days": 30} for case in PEOPLE.values() if case.get("kept") != 96]
    flagged = [len(flags(history(seed, **case), 7 * DAY * MINUTE)) for case in cases for seed in range(3)]
    assert sum(flagged) / len(flagged) < 0.2, "far fewer than the one a month that is allowed"
