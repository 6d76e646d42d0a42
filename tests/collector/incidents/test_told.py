"""What is told of one incident (whole histories: test_timeline)."""

from __future__ import annotations

import pytest

from probe.collector.incidents.homes import homes_of, weights, words_of
from probe.collector.incidents.model import HOUR, Incident, Sight
from probe.collector.incidents.told import tell
from probe.measurements._judge import wilson_lower
from tests.collector.incidents.stories import SERIES, at

T = at("2020-01-10")


def told(closed: int, **words: str) -> Incident:
    """Homes by name, a result an hour: g or b."""
    sights = [
        Sight(name, T + h * HOUR, good=w == "g", bad=w == "b", first_good=(w == "g") * (T + h * HOUR),
              last_good=(w == "g") * (T + h * HOUR), first_bad=(w == "b") * (T + h * HOUR),
              last_bad=(w == "b") * (T + h * HOUR))
        for name, word in words.items() for h, w in enumerate(word) if w in "gb"
    ]  # fmt: skip
    homes = homes_of(sights, {})
    now = T + 400 * HOUR
    return tell(SERIES, homes, weights(words_of(homes)), T + 22 * HOUR, closed and T + closed * HOUR, now)


def test_who_saw_it_who_was_heard_and_who_disagrees() -> None:
    one = told(40, a="ggbbbb" + "g" * 40, b="ggbbbb" + "g" * 40, c="ggbbbb" + "g" * 40, d="g" * 46)
    assert (one.homes, one.heard, one.dissent) == (3, 4, ("d",))
    assert one.sure == pytest.approx(wilson_lower(3, 4))
    assert (one.share, one.intermittent) == (1.0, False)
    assert sum(made for _, made in one.hours) == 12
    assert one.state == "closed"


def test_hours_are_those_of_the_day() -> None:
    one = told(0, a="gg" + "bg" * 60, b="gg" + "bg" * 60)
    assert {hour for hour, (bad, _) in enumerate(one.hours) if bad} == set(range(0, 24, 2))
    assert one.intermittent
    assert one.share == pytest.approx(0.5, abs=0.01)
    assert (one.state, one.ended) == ("open", None)


def test_a_day_of_luck_is_no_exemption_where_calls_get_through_anyway() -> None:
    word = "gg" + "bg" * 30 + "g" * 26 + "bg" * 30
    rare = "gg" + ("b" + "g" * 19) * 3 + "g" * 26 + ("b" + "g" * 19) * 3
    assert len(told(0, a=word, b="gg" + "bg" * 90, c="gg" + "bg" * 90).exemptions) == 1
    often = "gg" + ("b" + "g" * 19) * 8
    assert told(0, a=rare, b=often, c=often).exemptions == ()


def test_silence_is_longer_than_a_pause() -> None:
    one = told(0, a="ggbbbb" + "." * 30 + "bbbb", b="ggbbbb" + "." * 30 + "bbbb")
    assert one.silent[0] == (T + 6 * HOUR, T + 36 * HOUR)
