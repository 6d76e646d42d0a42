"""The demo's closing table: what each line measured, beside what is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from probe.lab.lab import Lab
from probe.lab.scenario import Expectation

_HEADS = ("operator", "target", "measurement", "verdict", "technique", "located at", "expected", "")


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
    def of(cls, expected: Expectation, finding: dict[str, Any] | None, lab: Lab) -> Row:
        """Compare a finding (JSON, or None) with an expectation."""
        truth = f" at {expected.at}" if expected.at else ""
        wanted = f"{' or '.join(expected.verdict)} {expected.technique or ''}".strip() + truth
        if finding is None:
            return cls(expected.operator, expected.target, expected.measurement, "-", "", "", wanted, None)
        interference = finding["interference"] or {}
        location = interference.get("location") or {}
        technique = interference.get("technique", "")
        right = finding["verdict"] in expected.verdict and (finding["verdict"] != "interfered" or technique == expected.technique)
        if right and expected.at and finding["verdict"] == "interfered":
            ttl = lab.truth(expected.operator, expected.at).ttl
            right = bool(location) and location["clean_ttl"] <= ttl <= location["first_ttl"]
        located = f"hops {location['clean_ttl']}-{location['first_ttl']} {_hop(location)}" if location else ""
        return cls(
            expected.operator, expected.target, expected.measurement, finding["verdict"], technique, located.strip(), wanted, right
        )


def _hop(location: dict[str, Any]) -> str:
    return str((location.get("first_hop") or {}).get("address", ""))


def table(rows: Sequence[Row]) -> str:
    """Aligned text. The last column says ``ok``, ``WRONG`` or ``not yet``."""
    marks = {True: "ok", False: "WRONG", None: "not yet"}
    cells = [
        _HEADS,
        *((r.operator, r.target, r.measurement, r.verdict, r.technique, r.located, r.expected, marks[r.right]) for r in rows),
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(lines)
