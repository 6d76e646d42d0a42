"""Cases in sentences."""

from __future__ import annotations

from probe.collector.incidents.cases import (
    Abroad,
    Alone,
    CallsNotChat,
    Case,
    Company,
    Countrywide,
    Intermittent,
    InTurn,
    Part,
)
from probe.collector.incidents.model import HOUR, Bounds, Exemption
from probe.collector.incidents.said import said, span
from tests.collector.incidents.stories import DAY, at

BEGAN = Bounds(at("2016-01-05T07:00"), at("2016-01-05T08:30"))
ENDED = Bounds(at("2016-11-04T11:00"), at("2016-11-04T11:20"))
CASE = Case(
    country="MA", subject="voip", calls=True, began=BEGAN, ended=ENDED, members=("a",),
    parts=(
        Part("AS36925", "mobile", BEGAN, ENDED, ("calls",), 4, 5),
        Part("AS36925", "fixed", BEGAN, None, ("a", "b"), 3, 3),
    ),
    traits=(
        Company("AS36925", 2, 3, 4), Alone(("AS1", "AS2")), Countrywide(("AS1", "AS2")), Abroad(("FR",), ("ES",)),
        Abroad((), ("ES",)), CallsNotChat(("text",)), Intermittent(0.4, (18, 19)), Intermittent(0.5, ()),
        InTurn("mobile", "fixed", 47 * DAY + HOUR),
    ),
    exemptions=(
        Exemption(2, at("2016-06-10T06:00"), at("2016-06-16T20:00"), ("x", "y")),
        Exemption(1, at("2016-07-01"), 0, ("z",)),
    ),
)  # fmt: skip


def test_every_trait_has_its_sentence() -> None:
    assert list(said(CASE)) == [
        f"AS36925 (mobile): 1 target, 4 of 5 homes, {span(BEGAN, ENDED)}.",
        f"AS36925 (fixed): 2 targets, 3 of 3 homes, {span(BEGAN, None)}.",
        "AS36925 cuts 2 of 3 targets of one company; 4 of others work there.",
        "It works with the country's other operators that were measured: AS1, AS2.",
        "All 2 operators of the country that were measured do it.",
        "Abroad it works in FR; it fails in ES.",
        "Abroad it works in no country that was measured; it fails in ES.",
        "Calls are cut, text works on the same lines: text.",
        "Not always: 40% of the results, most at 18h, 19h UTC.",
        "Not always: 50% of the results.",
        "mobile lines first, fixed lines 47 days later.",
        "It worked for 2 homes from 2016-06-10 06:00 UTC until 2016-06-16 20:00 UTC, while it was cut for the others.",
        "It worked for 1 home from 2016-07-01 00:00 UTC on, while it was cut for the others.",
    ]


def test_both_ends_lie_between_two_results() -> None:
    began = "since 2016-01-05 08:30 UTC (or up to 1 h 30 min before)"
    assert span(BEGAN, None) == f"{began}, and it lasts"
    assert span(BEGAN, ENDED) == f"{began} until 2016-11-04 11:20 UTC (or up to 20 min before)"


def test_an_end_that_nobody_measured_on_one_side() -> None:
    assert span(Bounds(0, at("2020-01-01")), None) == "since 2020-01-01 00:00 UTC, and it lasts"
    assert span(BEGAN, Bounds(at("2020-01-01"), 0)).endswith(" until 2020-01-01 00:00 UTC")
