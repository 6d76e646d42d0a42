"""Cases out of histories: who did what to whom, for how long, and what kind of act it was."""

from __future__ import annotations

from typing import Any

import pytest

from probe.collector.incidents.cases import (
    Abroad,
    Alone,
    CallsNotChat,
    Case,
    Company,
    Countrywide,
    Intermittent,
    InTurn,
    Look,
    gather,
)
from probe.collector.incidents.model import HOUR
from tests.collector.incidents.histories import (
    ADSL,
    COMPANY,
    DAY,
    FAIR,
    FIRST,
    LIFTED,
    MOBILE,
    SECOND,
    SERVICES,
    algeria,
    morocco,
)
from tests.collector.incidents.stories import at


def traits(case: Case) -> dict[type, Any]:
    return {type(one): one for one in case.traits}


@pytest.mark.parametrize("liars", [pytest.param(0, marks=pytest.mark.long), 1])
def test_a_company_is_cut_off_twice_by_one_operator(liars: int) -> None:
    period = DAY
    history = algeria(period=period, liars=liars)
    members = history.members()
    first, second = history.cases(members)
    for case, (began, ended) in ((first, FIRST), (second, SECOND)):
        assert (case.country, case.subject, case.calls) == ("DZ", "octenium", False)
        (part,) = case.parts
        assert (part.operator, part.access, part.targets) == ("AS36947", "fixed", tuple(COMPANY))
        assert part.heard == 5
        assert part.homes >= 4
        for one in [m for m in members if m.id in case.members]:
            assert one.incident.began.after < at(began) <= one.incident.began.until
            assert one.incident.began.until - at(began) <= 1.1 * period
            assert at(began) - one.incident.began.after <= 1.1 * period
            if ended > "2022":
                assert one.incident.ended is None
            else:
                assert one.incident.ended is not None
                assert one.incident.ended.after < at(ended) <= one.incident.ended.until
                assert one.incident.ended.until - one.incident.ended.after <= 2.2 * period
        told = traits(case)
        assert told[Company] == Company("AS36947", 3, 3, 1)
        assert told[Alone] == Alone(("AS327931", "AS33779"))
        assert told[Abroad] == Abroad(("FR",), ())
        assert told.keys() == {Company, Alone, Abroad}


@pytest.mark.parametrize("share", [pytest.param(0.3, marks=pytest.mark.long), 0.7])
def test_three_operators_cut_calls_in_turn_and_spare_a_venue(share: float) -> None:
    history = morocco(share=share)
    (case,) = history.cases(history.members())
    assert (case.country, case.subject, case.calls) == ("MA", "voip", True)
    assert [(part.operator, part.access) for part in case.parts[:3]] == [
        (operator, "mobile") for operator in sorted({"AS36925", "AS36903", "AS36884"}, key=lambda o: next(
            part.began.until for part in case.parts if part.operator == o))
    ]  # fmt: skip
    assert {(part.operator, part.access) for part in case.parts[3:]} == {("AS36925", "fixed"), ("AS36903", "fixed")}
    assert all(part.targets == tuple(sorted(SERVICES)) for part in case.parts)
    for part in case.parts:
        assert abs(part.began.until - at(MOBILE if part.access == "mobile" else ADSL)) <= DAY
        assert part.ended is not None
        assert abs(part.ended.after - at(LIFTED)) <= DAY
    told = traits(case)
    assert told[Countrywide] == Countrywide(("AS36884", "AS36903", "AS36925"))
    assert told[CallsNotChat] == CallsNotChat(("whatsapp text",))
    assert abs(told[Intermittent].share - share) < 0.1
    assert (told[InTurn].first, told[InTurn].then) == ("mobile", "fixed")
    assert abs(told[InTurn].after - (at(ADSL) - at(MOBILE))) <= DAY
    assert told.keys() == {Countrywide, CallsNotChat, Intermittent, InTurn}
    venue = [one for one in case.exemptions if one.homes == 2]
    assert {one.probes for one in venue} == {("fair-7", "fair-8")}
    assert all(abs(one.since - at(FAIR[0])) <= 6 * HOUR >= abs(one.until - at(FAIR[1])) for one in venue)


def test_what_works_for_nearly_all_homes_is_fine() -> None:
    def look(good: int, bad: int) -> Look:
        return Look("MA", "AS1", "fixed", "voip", "x", "voip", good, bad)

    assert look(4, 1).fine
    assert not look(2, 1).fine
    assert not look(0, 0).fine


def test_no_members_no_cases() -> None:
    assert gather([]) == []
