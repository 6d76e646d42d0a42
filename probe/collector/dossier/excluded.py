"""What else could explain an incident, each with the numbers that speak for or against it; and what stays uncertain.

Pure: the design's list of what fools each measurement, held against the findings of one incident. What the numbers
don't exclude is not left out: it is said to be open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec

from probe.collector.incidents.model import HOUR, Incident
from probe.model.finding import Finding

MOSTLY = 0.75
"""Share of results that must speak against a confounder (a fifth of the probes may lie)."""
CONTROLS = 0.9
"""Share of the controls that must have worked."""
FEW = 5
"""Homes under which a reader is told that they are few."""

Name = Literal[
    "server_down", "geofence", "bad_line", "chance", "one_home", "home_router", "far_network", "whole_line", "clock",
    "invented",
]  # fmt: skip
Unsure = Literal[
    "who", "homes", "few", "began", "began_unknown", "ended_unknown", "going_on", "silence", "dissent", "not_located",
    "alone", "no_abroad", "inconclusive", "no_packets", "hidden",
]  # fmt: skip


HOLES = frozenset({"ip_blackhole", "icmp_reject"})
"""Techniques that look like a server that is down. The others show themselves only while something answers."""


class Fared(msgspec.Struct, frozen=True):
    """How the target fared meanwhile on another kind of line, in results."""

    country: str
    good: int
    bad: int
    down: int


class Check(msgspec.Struct, frozen=True):
    """A confounder: ``against`` of ``made`` results speak against it. ``excluded``: enough of them do."""

    name: Name
    against: int
    made: int
    excluded: bool


class Doubt(msgspec.Struct, frozen=True):
    """What is not known. The numbers' meaning depends on the name; ``span`` in ms."""

    name: Unsure
    number: int = 0
    of: int = 0
    span: int = 0


def checks(
    one: Incident, bad: Sequence[Finding], findings: Sequence[Finding], others: Sequence[Fared], fine: int, beside: int
) -> list[Check]:
    """Every confounder. ``bad``: the findings that show it; ``others``: each other kind of line; ``fine`` of ``beside``
    other targets worked on the same lines."""
    hole = one.series.technique in HOLES
    reached = [(other.country, other.good, other.good + other.down + (other.bad if hole else 0)) for other in others]
    home = [(good, made) for where, good, made in reached if where == one.series.country]
    located = [f.interference.location for f in bad if f.interference is not None and f.interference.location]
    placed = [(f, f.interference.location) for f in bad if f.interference is not None and f.interference.location]
    known = [(f.line.asn, place.clean_hop.asn) for f, place in placed
             if f.line.asn and place.clean_hop is not None and place.clean_hop.asn]  # fmt: skip
    return [
        _share("server_down", sum(good for _, good, _ in reached), sum(made for _, _, made in reached), MOSTLY),
        _share("geofence", sum(good for good, _ in home), sum(made for _, made in home), MOSTLY),
        _share("bad_line", sum(f.controls.agreed for f in bad), sum(f.controls.made for f in bad), CONTROLS),
        Check("chance", sum(f.trials.agreed for f in bad), sum(f.trials.made for f in bad), len(bad) >= 3),
        Check("one_home", one.homes, one.heard, one.homes >= 2),
        _share("home_router", sum(place.clean_ttl >= 1 for place in located), len(located), 1.0),
        _share("far_network", sum(own == asn for own, asn in known), len(known), MOSTLY),
        _share("whole_line", fine, beside, MOSTLY),
        _share("clock", sum(f.clock == "synchronised" for f in findings), len(findings), 1.0),
        _share("invented", sum(f.signature is not None for f in findings), len(findings), 1.0),
    ]


def doubts(
    one: Incident, bad: Sequence[Finding], findings: Sequence[Finding], captured: Collection[str],
    others: Iterable[Fared],
) -> list[Doubt]:  # fmt: skip
    """What stays uncertain whatever was excluded. ``captured``: ids of the findings whose packets are there."""
    return [*_of_time(one), *_of_homes(one), *_of_findings(bad, findings, captured), *_of_others(one, others)]


def _of_time(one: Incident) -> Iterable[Doubt]:
    yield Doubt("who")
    if not one.began.after:
        yield Doubt("began_unknown")
    elif one.began.until > one.began.after:
        yield Doubt("began", span=one.began.until - one.began.after)
    if one.ended is None:
        yield Doubt("going_on")
    elif not one.ended.until:
        yield Doubt("ended_unknown")
    if one.silent:
        yield Doubt("silence", len(one.silent), span=sum(until - since for since, until in one.silent) // HOUR * HOUR)


def _of_homes(one: Incident) -> Iterable[Doubt]:
    if one.counted != "prefix":
        yield Doubt("homes", one.heard)
    if one.heard < FEW:
        yield Doubt("few", one.heard)
    if one.dissent:
        yield Doubt("dissent", len(one.dissent), one.heard)


def _of_findings(bad: Sequence[Finding], findings: Sequence[Finding], captured: Collection[str]) -> Iterable[Doubt]:
    nowhere = sum(f.interference is not None and f.interference.location is None for f in bad)
    if nowhere:
        yield Doubt("not_located", nowhere, len(bad))
    unsure = sum(f.verdict == "inconclusive" for f in findings)
    if unsure:
        yield Doubt("inconclusive", unsure, len(findings))
    bare = sum(f.id not in captured for f in bad)
    if bare:
        yield Doubt("no_packets", bare, len(bad))


def _of_others(one: Incident, others: Iterable[Fared]) -> Iterable[Doubt]:
    where = [other.country for other in others if other.good or other.bad or other.down]
    if one.series.country not in where:
        yield Doubt("alone")
    if all(country == one.series.country for country in where):
        yield Doubt("no_abroad")


def _share(name: Name, against: int, made: int, least: float) -> Check:
    return Check(name, against, made, made > 0 and against >= least * made)
