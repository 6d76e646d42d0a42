"""What is told of cases, from findings in a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector.public_cases import PublicCases, event_of
from probe.collector.rest_cases import item
from probe.collector.rest_types import CaseItem, PublicCaseEvent
from probe.model.feed import PublicBounds
from tests.collector.incidents.stories import cut
from tests.collector.test_case_views import COMPANY, DAY, JULY, row
from tests.collector.test_rollup import CUT, END, Probes, findings, give

if TYPE_CHECKING:
    from tests.collector.conftest import Desk

SHOWN = {("DZ", "AS36947")}
OPEN = item(COMPANY)
OVER = item([row(1, ended=JULY + DAY), row(2, target="203.0.113.11", began=JULY + 2, ended=JULY + DAY)])


def told(cases: PublicCases, changed: set[str]) -> list[tuple[str, PublicCaseEvent]]:
    posts = cases.due(changed, SHOWN, END)
    return [(post.topic, msgspec.json.decode(post.payload, type=PublicCaseEvent)) for post in posts]


def test_a_case_that_begins_grows_and_ends(desk: Desk, probes: Probes) -> None:
    cases = PublicCases(desk.reader)
    assert told(cases, set()) == []
    give(desk, findings(probes, cut((CUT[0], "2029-01-01"))))
    (first,) = desk.reader.incidents(10)
    ((topic, event),) = told(cases, {first.id})
    assert (topic, event.event, event.case.incidents) == ("colibri/v1/public/case/opened", "opened", [first.id])
    assert event.case.ended is None
    assert told(cases, {first.id}) == [], "nothing is new"
    give(desk, findings(probes, target="196.20.66.11", prefix="more"))
    (second,) = {one.id for one in desk.reader.incidents(10)} - {first.id}
    ((topic, event),) = told(cases, {second})
    assert (topic, event.event) == ("colibri/v1/public/case/updated", "updated")
    assert set(event.case.incidents) == {first.id, second}
    assert {target for part in event.case.parts for target in part.targets} == {"196.20.66.10", "196.20.66.11"}


def test_what_was_there_before_the_start_is_not_told_again(desk: Desk, probes: Probes) -> None:
    give(desk, findings(probes))
    (only,) = desk.reader.incidents(10)
    cases = PublicCases(desk.reader)
    assert told(cases, {only.id}) == []
    assert told(cases, {only.id}) == []


def test_a_case_of_an_operator_that_is_not_shown_is_not_told(desk: Desk, probes: Probes) -> None:
    cases = PublicCases(desk.reader)
    cases.due((), (), END)
    give(desk, findings(probes, homes=1))
    assert cases.due({one.id for one in desk.reader.incidents(10)}, (), END) == []


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, OPEN, "opened"), (None, OVER, "closed"), (OPEN, OVER, "closed"), (OVER, OPEN, "opened"),
        (OPEN, OPEN, None), (OVER, OVER, None),
        (OPEN, msgspec.structs.replace(OPEN, began=PublicBounds(None, OPEN.began.until)), "updated"),
    ],
)  # fmt: skip
def test_what_happened(before: CaseItem | None, after: CaseItem, event: str | None) -> None:
    assert event_of(before, after) == event
