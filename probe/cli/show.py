"""A finding for a person at a terminal: the verdict at a glance, then why."""

from __future__ import annotations

import textwrap

from probe.model.finding import Finding

_MARKS = {"clean": "✓ clean", "interfered": "✗ INTERFERED", "down": "▽ down", "inconclusive": "? inconclusive"}
_TECHNIQUES = {
    "dns_injection": "forged DNS answers",
    "dns_redirect": "DNS queries answered by somebody else",
    "dns_lie": "the operator's resolver lies",
    "tcp_reset": "forged resets",
    "trigger_drop": "packets vanish after the name",
    "block_page": "a forged page",
    "ip_blackhole": "packets to the address vanish",
    "icmp_reject": "packets to the address are refused on the way",
}


def at_a_glance(finding: Finding) -> str:
    """A few lines: verdict, technique, place, confidence, reasons."""
    kind = finding.measurement.replace("_", "-")
    lines = [f"{_MARKS[finding.verdict]}  {finding.target.input}  ({kind}, {finding.duration_s:.1f} s)"]
    if finding.interference is not None:
        technique, placement = finding.interference.technique, finding.interference.placement.replace("_", " ")
        lines.append(f"  what    {_TECHNIQUES.get(technique, technique.replace('_', ' '))} ({technique}, {placement})")
        if finding.interference.location is not None:
            lines.append(f"  where   {finding.interference.location.attribution}")
    if finding.confidence:
        lines.append(
            f"  sure    {finding.confidence:.2f} ({finding.trials.agreed} of {finding.trials.made} trials, "
            f"{finding.controls.agreed} of {finding.controls.made} controls)"
        )
    if finding.clock == "unsynchronised":
        lines.append("  clock   not synchronised: the times are not to be relied on")
    for i, reason in enumerate(finding.reasons):
        label = "  why     " if i == 0 else "          "
        lines += textwrap.wrap(reason, 100, initial_indent=label, subsequent_indent="          ")
    lines.append(f"  rule    {finding.rule} (version {finding.version})")
    return "\n".join(lines)
