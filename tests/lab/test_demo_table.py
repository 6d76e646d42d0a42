"""The demo's table, beside a lab that is only data."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from probe.lab.demo_table import Row, table
from probe.lab.lab import Lab, Truth
from probe.lab.scenario import Expectation, Scenario
from probe.model.finding import (
    Evidence,
    Finding,
    Hop,
    Interference,
    Line,
    Location,
    Probe,
    Tally,
    Target,
    Technique,
    Verdict,
)

EXPECTED = Expectation(
    operator="sale", measurement="tcp_reset", target="https://press.example/", verdict=("interfered",),
    technique="tcp_reset", at="sale.core",
)  # fmt: skip


class FakeLab:
    """What a row asks of a lab."""

    def __init__(self) -> None:
        self.state = type("State", (), {"scenario": Scenario(name="x", description="X.")})

    def truth(self, operator: str, node: str) -> Truth:
        assert (operator, node) == ("sale", "sale.core")
        return Truth(4, ("198.18.30.4",), 64503)


LAB = cast("Lab", FakeLab())


def finding(verdict: Verdict, technique: Technique | None = None, location: Location | None = None) -> Finding:
    made: dict[str, Any] = {
        "id": "01900000-0000-7000-8000-000000000001", "measurement": "tcp_reset", "version": "1",
        "probe": Probe("sale", "colibri"), "line": Line(), "target": Target("https://press.example/"),
        "started_at": "2026-01-01T00:00:00.000Z", "duration_s": 1.0, "clock": "synchronised", "verdict": verdict,
        "interference": Interference(technique, "on_path", location) if technique else None, "rule": "r",
        "trials": Tally(3, 3), "controls": Tally(3, 3), "confidence": 1.0, "reasons": [], "evidence": Evidence(),
        "details": {},
    }  # fmt: skip
    return Finding(**made)


LINK = Location(3, 4, Hop("198.18.30.3"), Hop("198.18.30.4"))


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (None, None),
        (finding("interfered", "tcp_reset", LINK), True),
        (finding("interfered", "tcp_reset", Location(3, 4)), True),
        (finding("interfered", "tcp_reset", Location(4, 5)), True),
        (finding("interfered", "tcp_reset", Location(5, 6)), False),
        (finding("interfered", "tcp_reset", Location(3, 4, None, Hop("198.18.30.99"))), False),
        (finding("interfered", "tcp_reset"), False),
        (finding("interfered", "trigger_drop", LINK), False),
        (finding("clean"), False),
        (finding("inconclusive"), False),
    ],
)
def test_right_is_what_the_lab_knows_to_be_true(found: Finding | None, right: bool | None) -> None:
    assert Row.of(EXPECTED, found, LAB).right is right


def test_where_nothing_is_to_be_found_a_hit_is_wrong() -> None:
    honest = msgspec.structs.replace(EXPECTED, verdict=("down", "inconclusive"), technique=None, at="")
    assert Row.of(honest, finding("inconclusive"), LAB).right
    assert Row.of(honest, finding("interfered", "tcp_reset", LINK), LAB).right is False
    assert Row.of(honest, None, LAB).expected == "down or inconclusive"


def test_a_row_says_what_was_found_where_and_what_is_true() -> None:
    row = Row.of(EXPECTED, finding("interfered", "tcp_reset", LINK), LAB)
    assert row.located == "hops 3-4 (198.18.30.3 - 198.18.30.4)"
    assert row.expected == "interfered tcp_reset at hop 4 (sale.core)"
    silent = Row.of(EXPECTED, finding("interfered", "tcp_reset", Location(3, 5, None, Hop())), LAB)
    assert silent.located == "hops 3-5 (? - ?)"


def test_the_table_is_aligned_and_marks_each_row() -> None:
    found = (None, finding("interfered", "tcp_reset", LINK), finding("clean"))
    rows = [Row.of(EXPECTED, one, LAB) for one in found]
    heads, rule, *lines = table(rows).splitlines()
    assert heads.split()[:3] == ["operator", "target", "measurement"]
    assert set(rule) == {"-", " "}
    assert [line.rpartition("  ")[2] for line in lines] == ["not yet", "ok", "WRONG"]
    at = heads.index("expected")
    assert {line[at : at + 10] for line in lines} == {"interfered"}
