"""The score's plumbing, with measurements that are made up."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from probe.lab import score
from probe.lab.kinds import Impair
from probe.lab.lab import Truth
from probe.lab.scenario import Expectation, Scenario
from probe.lab.score import Observation, Outcome
from probe.model.config import Config
from probe.model.errors import NoRoute
from probe.model.finding import Hop, Location

EXPECTED = Expectation(operator="sale", measurement="dns_injection", target="press.example", verdict=("interfered",),
                       technique="dns_injection", at="sale.agg", options={"listen": 0.5, "siblings": ["a", "b"]})


def observed(**outcome: Any) -> Observation:
    return Observation("x", False, EXPECTED, 3, ("198.18.30.3",), Outcome(**outcome))


@pytest.mark.parametrize(
    ("outcome", "verdict", "technique"),
    [
        ({"verdict": "interfered", "technique": "dns_injection"}, True, True),
        ({"verdict": "interfered", "technique": "dns_lie"}, True, False),
        ({"verdict": "clean"}, False, False),
        ({"error": "no route"}, False, False),
    ],
)
def test_an_outcome_is_compared_with_the_truth(outcome: dict[str, str], verdict: bool, technique: bool) -> None:
    one = observed(**outcome)
    assert (one.verdict_right, one.technique_right) == (verdict, technique)


@pytest.mark.parametrize(
    ("location", "right", "exact", "width"),
    [
        (Location(2, 3), True, True, 1),
        (Location(3, 4), True, False, 1),
        (Location(3, 4, Hop("198.18.30.3"), None), True, False, 1),
        (Location(2, 3, None, Hop("198.18.30.3")), True, True, 1),
        (Location(2, 3, None, Hop("198.18.30.9")), False, False, 1),
        (Location(1, 2), False, False, 1),
        (Location(4, 5), False, False, 1),
        (Location(0, 9), True, False, 9),
        (None, False, False, 0),
    ],
)
def test_a_link_is_right_if_it_contains_the_router(
    location: Location | None, right: bool, exact: bool, width: int
) -> None:
    one = observed(verdict="interfered", technique="dns_injection", location=location)
    assert (one.place_right, one.place_exact, one.width) == (right, exact, width)


class FakeLab:
    """Stands for a lab: gives what the runner asks of one."""

    def __init__(self, output: bytes = b"", status: int = 0, error: bytes = b"") -> None:
        self.done = subprocess.CompletedProcess([], status, output, error)
        self.argv: list[str] = []
        self.late = False

        self.state = SimpleNamespace(scenario=Scenario(name="x", description="X.", confounder=True))

    def config(self, _operator: str) -> Config:
        return Config()

    def truth(self, _operator: str, _node: str) -> Truth:
        return Truth(3, ("198.18.30.3",), 64503)

    def run(self, _operator: str, argv: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        self.argv = argv
        if self.late:
            raise subprocess.TimeoutExpired(argv, options["timeout"])
        return self.done


def measured(lab: FakeLab) -> Outcome:
    return score.command(lab, EXPECTED)  # type: ignore[arg-type]


def test_a_measurement_is_a_command_in_the_home() -> None:
    finding = {"verdict": "interfered", "rule": "r",
               "interference": {"technique": "dns_injection", "location": {"clean_ttl": 2, "first_ttl": 3}}}
    lab = FakeLab(msgspec.json.encode(finding) + b"\n")
    outcome = measured(lab)
    assert msgspec.structs.replace(outcome, seconds=0) == Outcome("interfered", "dns_injection", "r", Location(2, 3))
    assert lab.argv[2:6] == ["probe", "measure", "dns-injection", "press.example"]
    assert lab.argv[-4:] == ["--listen", "0.5", "--siblings", "a,b"]


@pytest.mark.parametrize(
    ("lab", "says"),
    [
        (FakeLab(b"", 1, b"first\ncolibri: no route\n"), "status 1: colibri: no route"),
        (FakeLab(b""), "no finding"),
        (FakeLab(b"{"), "no finding"),
        (FakeLab(b'{"verdict": "clean"}'), "no finding"),
        (FakeLab(b'{"verdict": "clean", "rule": "r", "interference": "?"}'), "no finding"),
    ],
)
def test_what_went_wrong_is_kept(lab: FakeLab, says: str) -> None:
    outcome = measured(lab)
    assert outcome.verdict == ""
    assert says in outcome.error


def test_a_measurement_that_hangs_is_given_up() -> None:
    lab = FakeLab()
    lab.late = True
    assert "no answer" in measured(lab).error


def test_a_clean_finding_has_no_interference() -> None:
    outcome = measured(FakeLab(b'{"verdict": "clean", "rule": "r", "interference": null}'))
    assert (outcome.verdict, outcome.technique, outcome.location) == ("clean", "", None)


def test_a_run_is_kept_beside_the_truth() -> None:
    line = Impair(at="", loss=0.02)
    one = score.observe(FakeLab(), EXPECTED, lambda *_: Outcome("clean"), 7, line)  # type: ignore[arg-type]
    assert (one.scenario, one.confounder, one.run, one.line) == ("x", True, 7, line)
    assert (one.true_ttl, one.true_addresses, one.rules) == (3, ("198.18.30.3",), score.rules("dns_injection"))
    assert score.rules("dns_injection")
    assert score.rules("telepathy") == ""


def test_a_runner_that_can_not_measure_says_why() -> None:
    def fails(*_: object) -> Outcome:
        raise NoRoute("no route")

    assert score.observe(FakeLab(), EXPECTED, fails).outcome == Outcome(error="no route")  # type: ignore[arg-type]
