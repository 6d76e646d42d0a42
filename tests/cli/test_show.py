"""A finding for a person at a terminal."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from probe.cli.show import at_a_glance
from probe.model.finding import Evidence, Finding, Interference, Line, Location, Probe, Tally, Target, Verdict


def finding(**what: Any) -> Finding:
    plain = Finding(
        id="0190a3b2-7c1d-7e2f-8a3b-4c5d6e7f8091", measurement="tcp_reset", version="1", probe=Probe("p", "colibri"),
        line=Line(), target=Target("https://press.example/"), started_at="2026-01-02T03:04:05.678Z", duration_s=1.26,
        clock="synchronised", verdict="clean", interference=None, rule="tcp_reset/clean", trials=Tally(3, 3),
        controls=Tally(6, 6), confidence=0.701, reasons=["It answered."], evidence=Evidence(), details={},
    )  # fmt: skip
    return msgspec.structs.replace(plain, **what)


PLACE = Location(2, 3, attribution="on the link between hop 2 (198.51.100.2) and hop 3 (198.51.100.3)")


def test_a_clean_line_says_how_sure_it_is() -> None:
    assert at_a_glance(finding()).splitlines() == [
        "✓ clean  https://press.example/  (tcp-reset, 1.3 s)",
        "  sure    0.70 (3 of 3 trials, 6 of 6 controls)",
        "  why     It answered.",
        "  rule    tcp_reset/clean (version 1)",
    ]


def test_interference_says_what_and_where() -> None:
    cut = Interference("tcp_reset", "on_path", PLACE)
    lines = at_a_glance(finding(verdict="interfered", interference=cut)).splitlines()
    assert lines[0].startswith("✗ INTERFERED")
    assert lines[1] == "  what    forged resets (tcp_reset, on path)"
    assert lines[2] == f"  where   {PLACE.attribution}"


def test_interference_without_a_place_has_no_where() -> None:
    text = at_a_glance(finding(verdict="interfered", interference=Interference("voip_media")))
    assert "voip media (voip_media, unknown)" in text
    assert "where" not in text


def test_what_is_not_sure_claims_no_number() -> None:
    assert "sure" not in at_a_glance(finding(verdict="inconclusive", confidence=0.0))


def test_an_unsynchronised_clock_is_said() -> None:
    assert "not synchronised" in at_a_glance(finding(clock="unsynchronised"))


def test_long_reasons_are_wrapped_under_one_another() -> None:
    lines = at_a_glance(finding(reasons=["word " * 60, "And more."])).splitlines()
    assert max(len(line) for line in lines) <= 100
    assert sum(line.startswith("  why     ") for line in lines) == 1
    assert "          And more." in lines


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_has_a_mark(verdict: str) -> None:
    assert at_a_glance(finding(verdict=verdict)).split()[1].lower() == verdict
