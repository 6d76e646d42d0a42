"""The cases that are in a store: its incidents, gathered, with how everybody else fared meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from probe.collector.incidents.cases import Case, Member, case, gather
from probe.collector.incidents.model import HOUR
from probe.collector.store import IncidentRow, Reader

MOST = 10_000
"""Most incidents that are looked at, the newest."""


def cases(reader: Reader, now: int) -> list[Case]:
    """All cases, oldest first. ``now`` in ms: until when what lasts is compared. Raises StoreError."""
    rows = reader.incidents(MOST)
    return [_case(reader, some, now) for some in gather(_member(row) for row in rows)]


def case_of(reader: Reader, incident_id: str, now: int) -> Case | None:
    """The case that an incident is of. Raises StoreError."""
    for some in gather(_member(row) for row in reader.incidents(MOST)):
        if any(member.id == incident_id for member in some):
            return _case(reader, some, now)
    return None


def _case(reader: Reader, members: Sequence[Member], now: int) -> Case:
    since = members[0].incident.began.until // HOUR * HOUR
    ends = [m.incident.ended.after if m.incident.ended is not None else now for m in members]
    return case(members, reader.looks(since, max(ends)))


def _member(row: IncidentRow) -> Member:
    return Member(row.id, row.group, row.incident)
