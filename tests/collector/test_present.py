"""The state tables agree with a plain reading of the whole history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector import instants
from probe.model.finding import Finding, Verdict

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
VERDICTS: list[Verdict] = ["clean", "interfered", "down", "inconclusive"]


def plainly(history: list[Finding]) -> tuple[Verdict, int]:
    """Verdict of the last finding, and the start of its run, by walking back."""
    ordered = sorted(history, key=lambda f: (f.started_at, f.id), reverse=True)
    verdict = ordered[0].verdict
    since = ordered[0].started_at
    for finding in ordered:
        if finding.verdict == verdict:
            since = finding.started_at
        elif finding.verdict != "inconclusive":
            break
    return verdict, instants.from_text(since)


@pytest.mark.parametrize("seed", range(5))
def test_the_standing_of_a_probe_at_every_step(desk: Desk, probes: Callable[..., FakeProbe], seed: int) -> None:
    probe = probes(seed=seed)
    times = list(range(40))
    probe.random.shuffle(times)
    history: list[Finding] = []
    for minute in times:
        finding = probe.finding(probe.random.choices(VERDICTS, [5, 5, 1, 2])[0], NOON + minute * instants.MINUTE)
        history.append(finding)
        desk.give(finding)
        (cell,) = desk.reader.cells()
        assert (cell.verdict, cell.since) == plainly(history)


def test_a_contradiction_in_one_millisecond_is_settled_by_id(desk: Desk, probes: Callable[..., FakeProbe]) -> None:
    probe = probes()
    both = [probe.finding("clean"), probe.finding("interfered")]
    desk.give(*both)
    (cell,) = desk.reader.cells()
    assert cell.finding_id == max(f.id for f in both)
    assert cell.since == NOON
