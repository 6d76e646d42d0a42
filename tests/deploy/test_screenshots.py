"""The month on the pictures of the docs: the cases that they show come out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.collector.casebook import gathered, told
from probe.collector.incidents.cases import Alone, CallsNotChat, Company, InTurn
from tests.collector.conftest import Desk
from tests.scripts import load

pytestmark = pytest.mark.long


def test_the_month_holds_the_cases_that_are_photographed(tmp_path: Path) -> None:
    shots = load("screenshots")
    desk = Desk(tmp_path / "findings.sqlite3")
    try:
        shots.fill(desk)
        found = [told(desk.reader, rows, shots.NOW) for rows in gathered(desk.reader.incidents(100))]
    finally:
        desk.close()
    cases = {(one.case.country, one.case.subject): one for one in found}
    assert cases.keys() == {("MA", "voip"), ("MA", "press"), ("DZ", "hosting")}
    calls, company = cases["MA", "voip"].case, cases["DZ", "hosting"].case
    assert {type(trait) for trait in calls.traits} >= {Alone, CallsNotChat, InTurn}
    assert calls.exemptions
    assert Company("AS64510", 3, 3, 1) in company.traits
    assert company.ended is None


def test_what_is_invented_says_so() -> None:
    shots = load("screenshots")
    lines = [shots.ATLAS, shots.ATLAS_MOBILE, shots.RIF, shots.SALE, shots.ORAN, shots.TELL, shots.CANAL]
    assert all(64496 <= line.asn <= 64511 or 64512 <= line.asn <= 65534 for line in lines), "RFC 5398, RFC 6996"
