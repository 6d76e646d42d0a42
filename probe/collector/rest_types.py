"""What the API answers with; ``colibri schema`` and docs/api/openapi.yaml are made from these types."""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.model.feed import PublicIncident, PublicState, ShortHash
from probe.model.finding import Instant, Interference, Line, Target, Token, Uuid, Verdict


class FindingItem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding in a list. ``at`` is null where no trustworthy clock dated it. ``cell``: its operator, access type,
    measurement and target in one, as the monitor's pages name it."""

    id: Uuid
    cell: ShortHash
    probe: Token
    measurement: Token
    target: Target
    line: Line
    verdict: Verdict
    interference: Interference | None
    at: Instant | None
    received_at: Instant
    has_evidence: bool


class FindingPage(msgspec.Struct, frozen=True, kw_only=True):
    """Findings, newest first. ``next``: the ``cursor`` of the next page; null: this was the last."""

    schema: Literal["colibri.page.findings/1"] = "colibri.page.findings/1"
    items: list[FindingItem]
    next: str | None


class StatePage(msgspec.Struct, frozen=True, kw_only=True):
    """What is found now, a target and operator an item, by country, operator and target."""

    schema: Literal["colibri.page.states/1"] = "colibri.page.states/1"
    items: list[PublicState]
    next: str | None


class IncidentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, those that began last first."""

    schema: Literal["colibri.page.incidents/1"] = "colibri.page.incidents/1"
    items: list[PublicIncident]
    next: str | None


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer, in one line."""

    error: str
