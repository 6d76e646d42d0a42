"""The month on the pictures of the docs: the cases that they show come out of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from probe.collector.casebook import gathered, told
from probe.collector.incidents.cases import Alone, CallsNotChat, Company, InTurn
from tests.collector.conftest import Desk

SCRIPT = Path(__file__).parents[2] / "deploy/screenshots.py"

pytestmark = pytest.mark.long


def script() -> Any:
    spec = importlib.util.spec_from_file_location("screenshots", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_month_holds_the_cases_that_are_photographed(tmp_path: Path) -> None:
    shots = script()
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
    shots = script()
    lines = [shots.ATLAS, shots.ATLAS_MOBILE, shots.RIF, shots.SALE, shots.ORAN, shots.TELL, shots.CANAL]
    assert all(64496 <= line.asn <= 64511 or 64512 <= line.asn <= 65534 for line in lines), "RFC 5398, RFC 6996"
