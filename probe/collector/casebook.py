"""The cases that are in a store: its incidents, gathered, with how everybody else fared meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.collector.incidents.cases import Case, Member, case, gather
from probe.collector.incidents.model import HOUR
from probe.collector.store import IncidentRow, Reader

MOST = 10_000
"""Most incidents that are looked at, the newest."""


class Told(msgspec.Struct, frozen=True):
    """A case with the rows of its incidents, by their beginning. ``measured``: operators of its country that measured
    its subject meanwhile, those that are in it included."""

    case: Case
    rows: tuple[IncidentRow, ...]
    measured: tuple[str, ...]


def cases(reader: Reader, now: int) -> list[Case]:
    """All cases, oldest first. ``now`` in ms: until when what lasts is compared. Raises StoreError."""
    return [told(reader, rows, now).case for rows in gathered(reader.incidents(MOST))]


def case_of(reader: Reader, incident_id: str, now: int) -> Case | None:
    """The case that an incident is of. Raises StoreError."""
    rows = rows_of(reader, incident_id)
    return told(reader, rows, now).case if rows else None


def gathered(rows: Sequence[IncidentRow]) -> list[list[IncidentRow]]:
    """The rows of each case, oldest first."""
    by_id = {row.id: row for row in rows}
    return [[by_id[member.id] for member in some] for some in gather(_member(row) for row in rows)]


def rows_of(reader: Reader, incident_id: str) -> list[IncidentRow]:
    """The rows of the case that an incident is of, by their beginning; none if there is no such incident. Raises
    StoreError."""
    for rows in gathered(reader.incidents(MOST)):
        if any(row.id == incident_id for row in rows):
            return rows
    return []


def told(reader: Reader, rows: Sequence[IncidentRow], now: int) -> Told:
    """What the incidents of a case are together. ``now`` in ms. Raises StoreError."""
    since = rows[0].incident.began.until // HOUR * HOUR
    ends = [row.incident.ended.after if row.incident.ended is not None else now for row in rows]
    looks = reader.looks(since, max(ends))
    one = case([_member(row) for row in rows], looks)
    measurements = {row.incident.series.measurement for row in rows}
    measured = {
        look.operator for look in looks
        if look.country == one.country and (look.group or look.target) == one.subject
        and look.measurement in measurements
    }  # fmt: skip
    return Told(one, tuple(rows), tuple(sorted(measured | {part.operator for part in one.parts})))


def _member(row: IncidentRow) -> Member:
    return Member(row.id, row.group, row.incident)
