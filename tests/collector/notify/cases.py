"""Incidents to be told of, with whatever is of interest about them changed."""

from __future__ import annotations

from typing import Any

import msgspec

from probe.collector.incidents.model import HOUR, Bounds, Exemption, Incident, Series
from probe.collector.store import IncidentRow
from probe.model.config import NotifyConfig

NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z
MINUTE = 60_000
SERIES = Series("DZ", "AS36947", "fixed", "blackhole", "196.20.66.10", "ip_blackhole")
OPEN = Incident(
    series=SERIES, state="open", began=Bounds(NOW - 2 * HOUR, NOW - HOUR), ended=None, homes=3, heard=4,
    dissent=("p-four",), share=0.97, hours=((1, 1),) * 24, intermittent=False, exemptions=(), silent=(), sure=0.6,
)  # fmt: skip
ENDED = Bounds(NOW - 20 * MINUTE, NOW - 10 * MINUTE)
SPARED = Exemption(2, NOW - HOUR, 0, ("p-five", "p-six"))


def row(name: str = "00000000000000aa", **changes: Any) -> IncidentRow:
    """An incident that goes on; ``closed=True`` ends it."""
    operator, group = changes.pop("operator", "Algérie Télécom"), changes.pop("group", "octenium")
    if changes.pop("closed", False):
        changes = {"state": "closed", "ended": ENDED, **changes}
    series = {key: changes.pop(key) for key in ("target", "country", "access", "technique") if key in changes}
    incident = msgspec.structs.replace(OPEN, series=msgspec.structs.replace(SERIES, **series), **changes)
    return IncidentRow(name, 1, incident, operator, group)


def subscription(**changes: Any) -> NotifyConfig:
    """One that wants everything, at once."""
    return NotifyConfig(**{"name": "newsroom", "settle": 0.0, **changes})
