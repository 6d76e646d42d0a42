"""Cases out of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.collector.casebook import case_of, cases, gathered, rows_of, told
from probe.collector.incidents.cases import Abroad, Company
from probe.model.finding import Line
from tests.collector.test_rollup import END, TUNISIA, Probes, findings, give

if TYPE_CHECKING:
    from tests.collector.conftest import Desk

NEIGHBOUR = Line("Oasis", 327931, "DZ", "mobile")


def test_incidents_are_gathered_with_how_others_fared(desk: Desk, probes: Probes) -> None:
    for number, target in enumerate(("196.20.66.10", "196.20.66.11")):
        give(desk, findings(probes, target=target, prefix=f"home{number}", homes=2))
        give(desk, findings(probes, lambda _: "good", target=target, prefix="abroad", homes=1, line=TUNISIA))
    (case,) = cases(desk.reader, END)
    assert (case.country, case.subject, len(case.members)) == ("DZ", "octenium", 2)
    assert Company("AS36947", 2, 2, 0) in case.traits
    assert Abroad(("TN",), ()) in case.traits
    assert case_of(desk.reader, case.members[1], END) == case
    assert case_of(desk.reader, "0" * 16, END) is None


def test_looks_count_homes(desk: Desk, probes: Probes) -> None:
    give(desk, findings(probes, homes=2) + findings(probes, lambda _: "good", homes=1, prefix="lucky"))
    (look,) = desk.reader.looks(0, END)
    assert (look.good, look.bad) == (1, 2)
    assert (look.operator, look.group, look.target) == ("AS36947", "octenium", "196.20.66.10")
    assert desk.reader.looks(0, 1) == []


def test_who_else_measured_the_subject_at_home_is_told(desk: Desk, probes: Probes) -> None:
    give(desk, findings(probes, homes=2))
    give(desk, findings(probes, lambda _: "good", prefix="other", homes=2, line=NEIGHBOUR))
    give(desk, findings(probes, lambda _: "good", prefix="abroad", homes=1, line=TUNISIA))
    (rows,) = gathered(desk.reader.incidents(10))
    assert rows == rows_of(desk.reader, rows[0].id)
    assert rows_of(desk.reader, "0" * 16) == []
    found = told(desk.reader, rows, END)
    assert found.measured == ("AS327931", "AS36947")
    assert found.case == case_of(desk.reader, rows[0].id, END)
