"""A store's reader that shows only what may be public, for pages that anyone can open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

import msgspec

from probe.collector import instants, public
from probe.collector.cells import Cell
from probe.collector.heartbeats import Silence
from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.incidents.model import Incident
from probe.collector.public import Operator
from probe.collector.search import MOST_INCIDENTS, Search
from probe.collector.store import FindingRow, IncidentRow, ProbeRow, Reader, RejectRow, StoredFinding
from probe.model.finding import Finding, Line

CROWD_EVERY = 60 * instants.SECOND
"""Who that is is asked for anew after this time, and whenever something has changed."""


class PublicReader:
    """Implements :class:`probe.collector.store.Reader`: what is of an operator that only one probe measures is not
    there, unless that probe's owner agreed."""

    def __init__(self, reader: Reader, consents: Collection[str], now: Callable[[], int]) -> None:
        """``consents``: probes whose owners agreed to be their operator's only one in public; ``now`` in ms."""
        self._reader, self._consents, self._now = reader, consents, now
        self._lock = threading.Lock()
        self._when = (-1, -1)
        self._shown: frozenset[Operator] = frozenset()

    def cells(self, after: int = 0) -> list[Cell]:
        shown = self._operators()
        return [cell for cell in self._reader.cells(after) if public.operator_of(cell.line) in shown]

    def cell(self, key: str) -> Cell | None:
        cell = self._reader.cell(key)
        return cell if cell is not None and self._may(cell.line) else None

    def cells_named(self, keys: Sequence[str]) -> list[Cell]:
        shown = self._operators()
        return [cell for cell in self._reader.cells_named(keys) if public.operator_of(cell.line) in shown]

    def findings(self, limit: int, cell: str | None = None) -> list[FindingRow]:
        if cell is None:
            return self._reader.search(Search(operators=self._operators(), limit=limit))
        return self._reader.findings(limit, cell) if self.cell(cell) is not None else []

    def search(self, search: Search) -> list[FindingRow]:
        return self._reader.search(msgspec.structs.replace(search, operators=search.operators & self._operators()))

    def crowd(self, since: int) -> list[tuple[Line, str]]:
        shown = self._operators()
        return [(line, probe) for line, probe in self._reader.crowd(since) if public.operator_of(line) in shown]

    def finding(self, finding_id: str) -> StoredFinding | None:
        stored = self._reader.finding(finding_id)
        if stored is None or not self._may(msgspec.json.decode(stored.body, type=Finding).line):
            return None
        return stored

    def evidence(self, finding_id: str) -> bytes | None:
        return self._reader.evidence(finding_id) if self.finding(finding_id) is not None else None

    def incidents(self, limit: int, *, open_only: bool = False, after: int = 0) -> list[IncidentRow]:
        shown = self._operators()
        rows = self._reader.incidents(MOST_INCIDENTS, open_only=open_only, after=after)
        return [row for row in rows if public.tellable(row.incident, shown)][:limit]

    def incident(self, incident_id: str) -> IncidentRow | None:
        row = self._reader.incident(incident_id)
        return row if row is not None and public.tellable(row.incident, self._operators()) else None

    def history(self, targets: Sequence[str], since: int, until: int, slot: int) -> list[HistoryRow]:
        shown = self._operators()
        rows = self._reader.history(targets, since, until, slot)
        return [row for row in rows if (row.country, row.operator) in shown]

    def silence(self, incident: Incident) -> tuple[Silence, ...]:
        return self._reader.silence(incident) if public.tellable(incident, self._operators()) else ()

    def homes(self) -> dict[str, str]:
        return self._reader.homes()  # on no page

    def heartbeats(self, probe: str, since: int, until: int) -> list[bytes]:
        return self._reader.heartbeats(probe, since, until)  # on no page

    def looks(self, since: int, until: int) -> list[Look]:
        shown = self._operators()
        return [look for look in self._reader.looks(since, until) if (look.country, look.operator) in shown]

    def probes(self) -> list[ProbeRow]:
        return self._reader.probes()  # only counted on pages

    def rejects(self, limit: int) -> list[RejectRow]:
        return self._reader.rejects(limit)  # on no page

    def counters(self) -> dict[str, int]:
        return self._reader.counters()

    def close(self) -> None:
        self._reader.close()

    def _may(self, line: Line) -> bool:
        return public.operator_of(line) in self._operators()

    def _operators(self) -> frozenset[Operator]:
        now = self._now()
        when = (self._reader.counters().get("change", 0), now // CROWD_EVERY)
        with self._lock:
            if when != self._when:
                crowd = self._reader.crowd(now - public.LATELY)
                self._shown = public.shown(crowd, self._consents, self._reader.homes())
                self._when = when
            return self._shown
