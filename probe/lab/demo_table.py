"""The demo's closing table: what each line measured, beside what is true."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.lab.lab import Lab, Truth
from probe.lab.scenario import Expectation
from probe.lab.score import Observation, Outcome
from probe.model.finding import Finding, Location

_HEADS = ("operator", "target", "measurement", "verdict", "technique", "located at", "expected", "")
_MARKS = {True: "ok", False: "WRONG", None: "not yet"}


class Row(msgspec.Struct, frozen=True):
    """One expectation and the last finding about it. ``right``: None where nothing was measured yet."""

    operator: str
    target: str
    measurement: str
    verdict: str
    technique: str
    located: str
    expected: str
    right: bool | None

    @classmethod
    def of(cls, expected: Expectation, finding: Finding | None, lab: Lab) -> Row:
        """Compare a finding with an expectation, by the rules of the score."""
        truth = lab.truth(expected.operator, expected.at) if expected.at else Truth(0, (), 0)
        what = (expected.operator, expected.target, expected.measurement)
        wanted = _wanted(expected, truth.ttl)
        if finding is None:
            return cls(*what, "-", "", "", wanted, None)
        interference = finding.interference
        technique = interference.technique if interference else ""
        location = interference.location if interference else None
        outcome = Outcome(finding.verdict, technique, finding.rule, location)
        seen = Observation(lab.state.scenario.name, False, expected, truth.ttl, truth.addresses, outcome)
        right = seen.technique_right and (not expected.at or finding.verdict != "interfered" or seen.place_right)
        return cls(*what, finding.verdict, technique, _located(location), wanted, right)


def _wanted(expected: Expectation, ttl: int) -> str:
    place = f"at hop {ttl} ({expected.at})" if expected.at else ""
    return " ".join(filter(None, (" or ".join(expected.verdict), expected.technique, place)))


def _located(location: Location | None) -> str:
    if location is None:
        return ""
    ends = [hop.address if hop and hop.address else "?" for hop in (location.clean_hop, location.first_hop)]
    return f"hops {location.clean_ttl}-{location.first_ttl} ({' - '.join(ends)})"


def table(rows: Sequence[Row]) -> str:
    """Aligned text. The last column says ``ok``, ``WRONG`` or ``not yet``."""
    cells = [_HEADS, *((*msgspec.structs.astuple(row)[:-1], _MARKS[row.right]) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(lines)
