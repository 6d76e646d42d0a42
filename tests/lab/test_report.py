"""The score as numbers and tables."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.lab import report
from probe.lab.report import Spread
from probe.lab.scenario import Expectation
from probe.lab.score import Observation, Outcome
from probe.model.finding import Location, Technique, Verdict

RIGHT, WRONG = Location(2, 3), Location(5, 9)


def one(
    scenario: str, verdict: tuple[Verdict, ...], outcome: Outcome, technique: Technique | None = None, at: str = ""
) -> Observation:
    expected = Expectation(operator="sale", measurement="m", target="t", verdict=verdict, technique=technique, at=at)
    return Observation(scenario, "interfered" not in verdict, expected, 3, ("198.18.30.3",), outcome)


def injected(outcome: Outcome) -> Observation:
    return one("dns", ("interfered",), outcome, "dns_injection", "sale.agg")


def found(technique: str = "dns_injection", location: Location | None = None, seconds: float = 0.0) -> Outcome:
    return Outcome("interfered", technique, location=location, seconds=seconds)


OBSERVATIONS = [
    injected(found(location=RIGHT, seconds=1.0)),
    injected(found(location=WRONG, seconds=2.0)),
    injected(found(seconds=3.0)),
    injected(Outcome(error="no route")),
    one("open", ("interfered", "inconclusive"), found()),
    one("lie", ("interfered",), found("dns_lie"), "dns_lie"),
    one("loss", ("clean", "inconclusive"), found()),
    one("loss", ("clean", "inconclusive"), Outcome("inconclusive", rule="r")),
]


def row(name: str) -> report.TechniqueRow:
    return next(row for row in report.summarise(OBSERVATIONS).techniques if row.technique == name)


def test_precision_recall_and_localisation_are_of_each_technique() -> None:
    injection = row("dns_injection")
    assert (injection.expected, injection.found, injection.claimed) == (4, 3, 4)
    assert (injection.to_place, injection.placed, injection.exact) == (3, 1, 1)
    assert (injection.precision, injection.recall) == (0.75, 0.75)
    assert injection.localisation == pytest.approx(1 / 3)
    assert injection.widest == 4
    assert (row("dns_lie").precision, row("dns_lie").localisation) == (1.0, None)


def test_false_alarms_are_counted_where_nothing_interferes() -> None:
    score = report.summarise(OBSERVATIONS)
    assert (score.harmless, score.false_alarms) == (2, 1)
    assert (score.runs, score.right) == (8, 6)


def test_runs_of_one_expectation_share_a_row() -> None:
    rows = {row.scenario: row for row in report.summarise(OBSERVATIONS).scenarios}
    assert list(rows) == ["dns", "open", "lie", "loss"]
    assert (rows["dns"].runs, rows["dns"].right, rows["dns"].placed) == (4, 3, 1)
    assert rows["dns"].verdicts == {"interfered": 3, "error": 1}
    assert (rows["dns"].errors, rows["dns"].seconds) == (["no route"], Spread(0.0, 2.0, 3.0))
    assert (rows["loss"].placed, rows["loss"].rules) == (None, ["r"])


def test_a_technique_is_told_by_place() -> None:
    at_agg, nowhere = report.summarise(OBSERVATIONS).places
    assert (at_agg.technique, at_agg.place, at_agg.hop, at_agg.variants) == ("dns_injection", "agg", 3, 1)
    assert (at_agg.runs, at_agg.found, at_agg.to_place, at_agg.placed) == (4, 3, 3, 1)
    assert (nowhere.technique, nowhere.place, nowhere.runs, nowhere.to_place) == ("dns_lie", "", 1, 0)


def test_a_confounder_is_told_by_name() -> None:
    (loss,) = report.summarise(OBSERVATIONS).confounders
    assert (loss.scenario, loss.runs, loss.accused) == ("loss", 2, 1)
    assert loss.verdicts == {"interfered": 1, "inconclusive": 1}


def test_durations_are_spread() -> None:
    group = [injected(found(seconds=float(second))) for second in range(101)]
    assert str(Spread.of(group)) == "5–50–95"
    assert Spread.of(group[:1]) == Spread(0.0, 0.0, 0.0)


def test_the_numbers_can_be_read_back() -> None:
    numbers: dict[str, Any] = msgspec.json.decode(report.to_json(OBSERVATIONS))
    assert msgspec.convert(numbers["score"], report.Score) == report.summarise(OBSERVATIONS)
    assert msgspec.convert(numbers["observations"], list[Observation]) == OBSERVATIONS
