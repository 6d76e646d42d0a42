"""Findings as a table (RFC 4180): one row a finding, columns that stay, harmless to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable

from probe.model.finding import Finding, Hop, Interference

COLUMNS = (
    "id", "started_at", "duration_s", "clock", "probe", "software",
    "operator", "asn", "country", "access",
    "measurement", "version", "target_input", "target_name", "target_address", "target_port", "target_group",
    "verdict", "technique", "placement", "clean_ttl", "first_ttl", "clean_hop", "clean_hop_asn", "first_hop",
    "first_hop_asn", "attribution", "rule", "trials_made", "trials_agreed", "controls_made", "controls_agreed",
    "confidence", "reasons", "packets", "pcapng_sha256", "exchanges",
)  # fmt: skip
"""Names of the columns, in their order: new ones are added at the end."""

_FORMULA = frozenset("=+-@＝＋－＠'")
"""What a spreadsheet may take for the beginning of a formula, and the sign that says it is none."""


def header() -> str:
    """The first line."""
    return _line(COLUMNS)


def row(finding: Finding, lost: Counter[str]) -> str:
    """The line of one finding. Reasons are joined by `` | ``."""
    if finding.details:
        lost["details: a table is flat"] += 1
    if finding.signature is not None:
        lost["signature: it covers the JSON, not a row"] += 1
    line, target = finding.line, finding.target
    return _line((
        finding.id, finding.started_at, finding.duration_s, finding.clock, finding.probe.id, finding.probe.software,
        line.operator, line.asn, line.country, line.access,
        finding.measurement, finding.version, target.input, target.name, target.address, target.port, target.group,
        finding.verdict, *_interference(finding.interference), finding.rule, finding.trials.made, finding.trials.agreed,
        finding.controls.made, finding.controls.agreed, finding.confidence, " | ".join(finding.reasons),
        finding.evidence.packets, finding.evidence.pcapng_sha256, finding.evidence.exchanges,
    ))  # fmt: skip


def _interference(found: Interference | None) -> tuple[str | int, ...]:
    """The cells from ``technique`` to ``attribution``."""
    if found is None:
        return ("",) * 9
    where = found.location
    if where is None:
        return (found.technique, found.placement, *("",) * 7)
    return (
        found.technique, found.placement, where.clean_ttl, where.first_ttl, *_hop(where.clean_hop),
        *_hop(where.first_hop), where.attribution,
    )  # fmt: skip


def _hop(hop: Hop | None) -> tuple[str | int, str | int]:
    return (hop.address, hop.asn) if hop is not None and hop.address else ("", "")


def cell(value: str) -> str:
    """Text that no spreadsheet takes for a formula (OWASP, "CSV Injection"): an apostrophe before what might be one,
    control characters as blanks. Who reads it with a program takes one leading apostrophe away."""
    text = "".join(" " if unicodedata.category(one) == "Cc" else one for one in value)
    visible = (one for one in text if not one.isspace() and unicodedata.category(one) != "Cf")
    return f"'{text}" if next(visible, "") in _FORMULA else text


def _line(values: Iterable[str | int | float]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([cell(value) if isinstance(value, str) else value for value in values])
    return written.getvalue()
