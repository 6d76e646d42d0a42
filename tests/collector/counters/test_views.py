"""What a page says of a counter, in three languages, and the same as JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.counters.change import HOUR, SPAN
from probe.collector.counters.ledger import Reading
from probe.collector.counters.suspicion import Flag
from probe.collector.counters.views import HEIGHT, WIDTH, curve, json, sentence, signed, signed_share, view
from probe.collector.languages.language import CODES, Code, load
from probe.model.config import CounterConfig

NOON = 1_772_366_400_000
CONFIG = CounterConfig(name="fans", url="https://social.example/page", json="/a", label="Fans of Atlas")
READINGS = [Reading(NOON - SPAN, 100_000), Reading(NOON - HOUR, 90_060), Reading(NOON, 90_000)]
WAVE = Flag("wave", NOON - HOUR, NOON, 5000, 12.4, 31.7, -3.2, 1240.0)
EVEN = Flag("even", NOON - HOUR, NOON, 720, 30.0, 5.48, 0.81, 0.0)


def test_the_fall_over_72_hours_and_the_pace_by_the_minute() -> None:
    shown = view(CONFIG, READINGS, [], False, load("en"))
    assert (shown.label, shown.host, shown.value) == ("Fans of Atlas", "social.example", "90,000")
    assert (shown.change, shown.share, shown.whole) == ("−10,000", "−10%", True)
    assert shown.pace == "−1"
    assert shown.rounded == ""
    assert [day.value for day in shown.days] == ["100,000", "90,000"]


def test_with_too_little_it_claims_nothing() -> None:
    one = view(CONFIG, READINGS[-1:], [], True, load("en"))
    assert (one.value, one.change, one.pace, one.curve, one.failing) == ("90,000", "", "", "", True)
    none = view(CONFIG, [], [], False, load("en"))
    assert (none.value, none.at, none.since, none.days) == ("", None, None, [])
    short = view(CONFIG, READINGS[1:], [], False, load("en"))
    assert (short.change, short.whole) == ("−60", False)


def test_what_the_page_rounds_to_is_said() -> None:
    assert view(CONFIG, [Reading(NOON, 12300, 100)], [], False, load("en")).rounded == "100"


def test_why_a_change_is_flagged() -> None:
    assert sentence(WAVE, load("en")).striptags() == (
        "From 1 Mar 2026, 11:00 UTC to 1 Mar 2026, 12:00 UTC: +5,000. About +12 was to be expected, give or take 32. "
        "After it came 0 more of the same; had people come one after the other, it would have been 1,240 at the least. "
        "A clean-up by the site looks the same."
    )
    assert "varied by 0.8; people vary by 5.5 at the least" in sentence(EVEN, load("en")).striptags()


@pytest.mark.parametrize("code", [code for code in CODES if code != "en"])
def test_in_every_language_and_with_every_number(code: Code) -> None:
    for flag in (WAVE, EVEN):
        said = sentence(flag, load(code))
        assert said != sentence(flag, load("en"))
        assert said.count("<bdi>") == sentence(flag, load("en")).count("<bdi>")


def test_signs() -> None:
    say = load("en")
    assert [signed(say, n) for n in (5, -5, 0, -0.5)] == ["+5", "−5", "0", "−0.5"]
    assert [signed_share(say, n) for n in (0.12, -0.12, 0.0)] == ["+12%", "−12%", "0%"]


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=900))
def test_a_curve_is_inside_its_frame_and_ends_at_its_end(values: list[int]) -> None:
    points = curve([Reading(NOON + i * 60_000, value) for i, value in enumerate(values)]).split()
    places = [tuple(map(float, point.split(","))) for point in points]
    assert len(places) <= 602
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert (places[0][0], places[-1][0]) == (0, WIDTH)
    assert [x for x, _ in places] == sorted(x for x, _ in places)


def test_the_json_has_the_same_in_numbers() -> None:
    found: dict[str, Any] = json(CONFIG, READINGS, [WAVE], False)
    assert (found["value"], found["step"], found["at"]) == (90_000, 1, "2026-03-01T12:00:00.000Z")
    assert found["change"] == {"by": -10_000, "share": -0.1, "since": "2026-02-26T12:00:00.000Z", "whole": True}
    assert found["per_minute"] == -1.0
    assert found["flags"][0]["kind"] == "wave"
    assert found["flags"][0]["since"] == "2026-03-01T11:00:00.000Z"
    empty = json(CONFIG, [], [], True)
    assert (empty["value"], empty["change"], empty["per_minute"], empty["failing"]) == (None, None, None, True)
