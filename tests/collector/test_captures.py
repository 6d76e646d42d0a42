"""Captures: claimed by the finding that names their hash, whichever comes first."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from probe.collector import captures
from probe.collector.ingest import unpack
from probe.model import feed
from probe.model.finding import Finding

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

Probes = Callable[..., "FakeProbe"]
Capture = Callable[[Finding], tuple[str, bytes]]
OTHER = gzip.compress(b"\x0a\x0d\x0d\x0a another capture")


@pytest.mark.parametrize("finding_first", [True, False])
def test_finding_and_capture_meet_in_either_order(
    desk: Desk, probes: Probes, evidence_of: Capture, finding_first: bool
) -> None:
    finding = probes().finding("interfered")
    messages: list[Finding | tuple[str, bytes]] = [finding, evidence_of(finding)]
    for message in messages if finding_first else reversed(messages):
        desk.give(message)
    packed = desk.reader.evidence(finding.id)
    assert packed == evidence_of(finding)[1]
    assert unpack(packed).startswith(b"\x0a\x0d\x0d\x0a")
    assert desk.reader.findings(1)[0].has_evidence


@pytest.mark.parametrize("finding_first", [True, False])
def test_a_capture_with_another_hash_is_set_aside(desk: Desk, probes: Probes, finding_first: bool) -> None:
    finding = probes().finding("interfered")
    messages: list[Finding | tuple[str, bytes]] = [finding, (feed.evidence("p-one", finding.id), OTHER)]
    for message in messages if finding_first else reversed(messages):
        desk.give(message)
    assert desk.reader.evidence(finding.id) is None
    assert [(r.reason, r.head) for r in desk.reader.rejects(5)] == [("other_evidence", OTHER)]


def test_a_capture_of_another_probe_is_set_aside(desk: Desk, probes: Probes, evidence_of: Capture) -> None:
    finding = probes().finding("interfered")
    _, payload = evidence_of(finding)
    desk.give((feed.evidence("p-two", finding.id), payload), finding, (feed.evidence("p-two", finding.id), payload))
    assert desk.reader.evidence(finding.id) is None
    assert desk.reader.counters()["rejected.other_evidence"] == 2


def test_a_waiting_capture_shows_nowhere(desk: Desk, probes: Probes, evidence_of: Capture) -> None:
    finding = probes().finding("interfered")
    desk.give(evidence_of(finding))
    assert desk.reader.evidence(finding.id) is None


def test_a_claimed_capture_can_not_be_replaced(desk: Desk, probes: Probes, evidence_of: Capture) -> None:
    finding = probes().finding("interfered")
    desk.give(finding, evidence_of(finding), (feed.evidence("p-one", finding.id), OTHER), evidence_of(finding))
    assert desk.reader.evidence(finding.id) == evidence_of(finding)[1]


def test_captures_that_nobody_claims_are_bounded_and_the_oldest_go_first(
    desk: Desk, probes: Probes, evidence_of: Capture
) -> None:
    probe = probes(seed=5)
    findings = [probe.finding("interfered") for _ in range(captures.UNCLAIMED_PER_PROBE + 3)]
    for number, finding in enumerate(findings):
        desk.give(evidence_of(finding), received_at=1000 + number)
    assert desk.reader.counters()["rejected.unclaimed_evidence"] == 3
    assert [f.id in r.topic for f, r in zip(findings, reversed(desk.reader.rejects(5)), strict=False)] == [True] * 3
    desk.give(*findings)
    assert [desk.reader.evidence(f.id) is not None for f in findings] == [False] * 3 + [
        True
    ] * captures.UNCLAIMED_PER_PROBE
