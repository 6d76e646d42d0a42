"""What the API answers with; ``colibri schema`` and docs/api/openapi.yaml are made from these types."""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.collector.incidents.cases import Trait
from probe.model.feed import Event, PublicBounds, PublicExemption, PublicIncident, PublicState, ShortHash
from probe.model.finding import (
    Access,
    Count,
    Country,
    Instant,
    Interference,
    Line,
    Name,
    Target,
    Text,
    Token,
    Uuid,
    Verdict,
)


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


class CasePart(msgspec.Struct, frozen=True, kw_only=True):
    """One operator's lines of one kind: when it was first and last seen there, and by how many homes: of its incidents
    the most that saw one, of the most that measured one."""

    operator: Name
    access: Access
    began: PublicBounds
    ended: PublicBounds | None
    targets: list[Text]
    homes: Count
    heard: Count


class CaseItem(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents of one country and subject, no more than 14 days apart. ``id``: of the first of its ``incidents``;
    any of theirs leads to it. ``subject``: the targets' group, or the target that has none. ``calls``: it is about
    calls."""

    schema: Literal["colibri.public.case/1"] = "colibri.public.case/1"
    id: ShortHash
    country: Country
    subject: Text
    calls: bool
    began: PublicBounds
    ended: PublicBounds | None
    incidents: list[ShortHash]
    parts: list[CasePart]


class PublicCase(CaseItem, frozen=True, kw_only=True):
    """A case with what was measured beside it. ``traits``: what kind of case it is; their ``type`` says which, and
    docs/incidents.md what each means. ``measured``: operators of the country that measured the subject meanwhile."""

    traits: list[Trait]
    measured: list[Name]
    exemptions: list[PublicExemption]


class CasePage(msgspec.Struct, frozen=True, kw_only=True):
    """Cases, those that began last first."""

    schema: Literal["colibri.page.cases/1"] = "colibri.page.cases/1"
    items: list[CaseItem]
    next: str | None


class PublicCaseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A case was opened, updated (it has grown, or what is known of it has changed) or closed."""

    schema: Literal["colibri.public.case-event/1"] = "colibri.public.case-event/1"
    event: Event
    case: CaseItem
    at: Instant


class CounterChange(msgspec.Struct, frozen=True, kw_only=True):
    """From ``since`` until now. ``share``: of what it was then, null where that was nothing. ``whole``: it is that of
    72 hours; else of all there is."""

    by: int
    share: float | None
    since: Instant
    whole: bool


class CounterFlag(msgspec.Struct, frozen=True, kw_only=True):
    """A change that people alone do not make: ``usual`` was to be expected, give or take ``spread``.

    wave: ``ebb`` more came after it, where people would have left ``due`` at the least. even: it varied by ``ebb``
    where chance alone makes ``spread``.
    """

    kind: Literal["wave", "even"]
    since: Instant
    until: Instant
    by: int
    usual: float
    spread: float
    ebb: float
    due: float


class CounterReading(msgspec.Struct, frozen=True, kw_only=True):
    """The number at an instant; ``step``: what the page rounds it to."""

    at: Instant
    value: int
    step: int


class CounterItem(msgspec.Struct, frozen=True, kw_only=True):
    """A public number: as it was last read, its change in 72 hours, its pace in the last hour. Null: too few readings.
    ``failing``: the page can't be read at the moment."""

    name: str
    label: str
    url: str
    value: int | None
    step: int | None
    at: Instant | None
    failing: bool
    change: CounterChange | None
    per_minute: float | None
    flags: list[CounterFlag]


class CounterPage(msgspec.Struct, frozen=True, kw_only=True):
    """All public counters that are read here."""

    schema: Literal["colibri.counters/1"] = "colibri.counters/1"
    counters: list[CounterItem]


class CounterHistory(CounterItem, frozen=True, kw_only=True):
    """One counter with its readings of 30 days, oldest first."""

    schema: Literal["colibri.counters/1"] = "colibri.counters/1"
    readings: list[CounterReading]


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer, in one line."""

    error: str
