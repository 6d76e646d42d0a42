"""The present verdict of a *cell*: one line's operator and access type, one target, one measurement. Pure.

A cell's state is a function of the findings that are stored, never of the order in which they came: late and repeated
deliveries can't move it backwards.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from probe.collector import instants
from probe.model.feed import short_hash
from probe.model.finding import Access, Finding, Interference, Line, Target, Verdict

HEARD_TOGETHER = instants.DAY
"""A probe counts in a cell while its last finding is at most this much older than the cell's newest."""

_WEIGHT: dict[Verdict, int] = {"inconclusive": 0, "clean": 1, "down": 2, "interfered": 3}
"""Breaks a tie between equal numbers of probes. An interference needs controls and three agreeing trials, so it is the
better-founded word; the dissent is shown beside it."""


def operator_key(line: Line) -> str:
    """What tells operators apart: the AS number where it is known, since names are spelled in many ways."""
    return f"AS{line.asn}" if line.asn else line.operator.strip().casefold()


def column_key(line: Line) -> str:
    """One column of the monitor: an operator in a country, by access type. Safe in an address."""
    return column_name(operator_key(line), line.country, line.access)


def column_name(operator: str, country: str, access: Access) -> str:
    """The same from its parts: an operator's key, its country, and how it is reached."""
    return short_hash(f"{operator}\x1f{country}\x1f{access}")


def cell_key(finding: Finding) -> str:
    """Permanent name of the finding's cell: 16 hexadecimal digits."""
    return cell_name(column_key(finding.line), finding.measurement, finding.target.input)


def cell_name(column: str, measurement: str, target: str) -> str:
    """The same from its parts: a column's key, and the target's text."""
    return short_hash(f"{column}\x1f{measurement}\x1f{target}")


class Standing(msgspec.Struct, frozen=True):
    """What one probe says about a cell: its newest finding there, and since when it has been saying so (ms).

    An inconclusive finding says nothing, so it neither ends nor begins a run of equal verdicts.
    """

    probe: str
    finding_id: str
    at: int
    verdict: Verdict
    since: int


class Settled(msgspec.Struct, frozen=True):
    """What the probes of a cell say together. ``finding_id``: the newest finding that agrees. Times in ms."""

    verdict: Verdict
    finding_id: str
    since: int
    last: int
    agree: int
    probes: int


def settle(standings: Iterable[Standing]) -> Settled:
    """The verdict that most probes hold now. An inconclusive one yields to any other. Needs at least one standing."""
    everyone = list(standings)
    newest = max(s.at for s in everyone)
    heard = [s for s in everyone if s.at >= newest - HEARD_TOGETHER]
    votes: dict[Verdict, list[Standing]] = {}
    for standing in heard:
        votes.setdefault(standing.verdict, []).append(standing)
    verdict = max(votes, key=lambda v: (v != "inconclusive", len(votes[v]), _WEIGHT[v]))
    agreeing = votes[verdict]
    decisive = max(agreeing, key=lambda s: (s.at, s.finding_id))
    return Settled(
        verdict=verdict,
        finding_id=decisive.finding_id,
        since=min(s.since for s in agreeing),
        last=newest,
        agree=len(agreeing),
        probes=len(heard),
    )


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell as the monitor shows it. ``change``: the store's sequence number of its last change."""

    key: str
    column: str
    change: int
    line: Line
    measurement: str
    target: Target
    verdict: Verdict
    interference: Interference | None
    finding_id: str
    since: int
    last: int
    agree: int
    probes: int
    confidence: float
