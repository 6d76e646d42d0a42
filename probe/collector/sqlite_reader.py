"""The embedded store, reading side: sees what is committed, beside the writer (WAL), from any thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from probe.collector import fared, fared_table, heartbeats_table, history, homes_table, sqlite_search
from probe.collector.cells import Cell
from probe.collector.heartbeats import Silence, silences
from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.incidents.model import Incident
from probe.collector.instants import DAY
from probe.collector.schema import open_reader
from probe.collector.search import Search
from probe.collector.store import FindingRow, IncidentRow, ProbeRow, RejectRow, StoredFinding
from probe.model.errors import StoreError
from probe.model.finding import Finding, Interference, Line, Target

MOST_CELLS = 5000
"""Most cells in one answer, so that invented targets can't make the page endless."""

_FINDING = msgspec.json.Decoder(Finding)
_INCIDENT_BODY = msgspec.json.Decoder(Incident)
_LINE = msgspec.json.Decoder(Line)
_TARGET = msgspec.json.Decoder(Target)
_INTERFERENCE = msgspec.json.Decoder(Interference | None)

_CELL = (
    "SELECT key, change, column_key, measurement, line, target, verdict, interference, finding_id, since, last, agree,"
    " probes, confidence FROM cells"
)
_INCIDENT = "SELECT i.id, i.change, i.body, s.named, s.grouped FROM incidents i JOIN series s ON s.id = i.series"
_HOURS = (
    "SELECT series, probe, count(*), sum(bad) FROM ("
    "SELECT h.series, h.probe, max(what <> 'clean') AS bad FROM series s"
    " CROSS JOIN hourly h ON h.series = s.id AND h.hour >= {} AND h.hour < {}"
    " WHERE what NOT IN ('down', 'inconclusive') GROUP BY h.series, h.hour, h.probe) GROUP BY series, probe"
)
# Whole days by the tables that are made for it, the hours at the ends by the roll-up: ?3 … ?4 and ?5 … ?6.
_FARED = (
    f"SELECT series, probe, sum(seen), sum(bad) FROM ({fared_table.HOURS}"  # noqa: S608 - of this module
    f" UNION ALL {_HOURS.format('?3', '?4')} UNION ALL {_HOURS.format('?5', '?6')}) GROUP BY series, probe"
)
_KINDS = "SELECT id, country, operator, access, measurement, target, grouped FROM series"
_LISTED = "SELECT id, cell, at, received_at, body, has_evidence FROM listed"


class SqliteReader:
    """Implements :class:`probe.collector.store.Reader`."""

    def __init__(self, path: str, *, own_homes: bool = False) -> None:
        """``own_homes``: a probe whose prefix the broker does not tell is a home of its own. Raises StoreError."""
        self._db = open_reader(path)
        self._own_homes = own_homes
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def cells(self, after: int = 0) -> list[Cell]:
        rows = self._rows(f"{_CELL} WHERE change > ? ORDER BY change DESC LIMIT ?", after, MOST_CELLS)
        return [_cell(row) for row in reversed(rows)]

    def cell(self, key: str) -> Cell | None:
        rows = self._rows(f"{_CELL} WHERE key = ?", key)
        return _cell(rows[0]) if rows else None

    def findings(self, limit: int, cell: str | None = None) -> list[FindingRow]:
        if cell is None:
            rows = self._rows(f"{_LISTED} ORDER BY time DESC LIMIT ?", limit)
        else:
            rows = self._rows(f"{_LISTED} WHERE cell = ? ORDER BY time DESC LIMIT ?", cell, limit)
        return [_finding_row(row) for row in rows]

    def cells_named(self, keys: Sequence[str]) -> list[Cell]:
        rows = self._rows(f"{_CELL} {sqlite_search.NAMED}", _json(keys))
        return [_cell(row) for row in rows]

    def search(self, search: Search) -> list[FindingRow]:
        query, arguments = sqlite_search.few(search)
        ((is_few,),) = self._rows(query, *arguments)
        query, arguments = sqlite_search.statement(search, bool(is_few))
        return [_finding_row(row) for row in self._rows(query, *arguments)]

    def crowd(self, since: int) -> list[tuple[Line, str]]:
        return [(_LINE.decode(line), probe) for line, probe in self._rows(sqlite_search.CROWD, since)]

    def homes(self) -> dict[str, str]:
        return dict(self._rows(homes_table.LAST))

    def finding(self, finding_id: str) -> StoredFinding | None:
        for _, cell, at, received_at, body, evidence in self._rows(f"{_LISTED} WHERE id = ?", finding_id):
            return StoredFinding(body=body, cell=cell, at=at, received_at=received_at, has_evidence=bool(evidence))
        return None

    def evidence(self, finding_id: str) -> bytes | None:
        rows = self._rows("SELECT packed FROM evidence WHERE finding_id = ? AND claimed", finding_id)
        packed: bytes | None = rows[0][0] if rows else None
        return packed

    def incidents(self, limit: int, *, open_only: bool = False, after: int = 0) -> list[IncidentRow]:
        where = "i.change > ?" + (" AND i.state = 'open'" if open_only else "")
        rows = self._rows(f"{_INCIDENT} WHERE {where} ORDER BY i.until DESC, i.since DESC LIMIT ?", after, limit)
        return [_incident_row(row) for row in rows]

    def incident(self, incident_id: str) -> IncidentRow | None:
        rows = self._rows(f"{_INCIDENT} WHERE i.id = ?", incident_id)
        return _incident_row(rows[0]) if rows else None

    def history(self, targets: Sequence[str], since: int, until: int, slot: int) -> list[HistoryRow]:
        query, arguments = history.statement(targets, since, until, slot)
        return [history.row(values) for values in self._rows(query, *arguments)]

    def silence(self, incident: Incident) -> tuple[Silence, ...]:
        if not incident.silent:
            return ()
        first, last, series = incident.silent[0][0], incident.silent[-1][1], incident.series
        rows = self._rows(
            heartbeats_table.LIVES, heartbeats_table.NEAR, first, last, series.country, series.operator, series.access,
            series.measurement, series.target,
        )  # fmt: skip
        return silences(incident.silent, heartbeats_table.by_hour(rows))

    def heartbeats(self, probe: str, since: int, until: int) -> list[bytes]:
        return [body for (body,) in self._rows(heartbeats_table.BODIES_OF, probe, since, until)]

    def looks(self, since: int, until: int) -> list[Look]:
        end = until + 1  # the hour that begins then is of it
        first, last = -(-since // DAY) * DAY, end // DAY * DAY
        if first >= last:
            first = last = end
        ((oldest, newest),) = self._rows(fared_table.DAYS)
        low, high = (max(first, oldest), min(last, newest + DAY)) if oldest is not None else (0, 0)
        blocks, days = fared_table.cover(low, high, set(self._rows(fared_table.DONE, low, high)))
        rows = self._rows(_FARED, _json(blocks), _json(days), since, first, last, end)
        series = {number: parts for number, *parts in self._rows(_KINDS)}
        probes = {probe for _, probe, _, _ in rows}
        with self._reading():
            stays = homes_table.stays(self._db, probes)
        return fared.looks(rows, series, fared.homes(probes, stays, until, own=self._own_homes))

    def probes(self) -> list[ProbeRow]:
        rows = self._rows("SELECT id, online, seen FROM probes ORDER BY id")
        return [ProbeRow(probe, bool(online), seen) for probe, online, seen in rows]

    def rejects(self, limit: int) -> list[RejectRow]:
        rows = self._rows(
            "SELECT received_at, topic, reason, detail, size, coalesce(substr(payload, 1, 4096), x'') FROM rejects"
            " ORDER BY seq DESC LIMIT ?",
            limit,
        )
        return [RejectRow(*row) for row in rows]

    def counters(self) -> dict[str, int]:
        return dict(self._rows("SELECT name, value FROM counters ORDER BY name"))

    def _rows(self, query: str, *arguments: object) -> list[Any]:
        with self._reading():
            return self._db.execute(query, arguments).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise StoreError(f"the store can't be read: {error}") from error


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _cell(row: tuple[Any, ...]) -> Cell:
    key, change, column, measurement, line, target, verdict, interference, finding_id, *numbers = row
    since, last, agree, probes, confidence = numbers
    return Cell(
        key=key, column=column, change=change, line=_LINE.decode(line), measurement=measurement,
        target=_TARGET.decode(target), verdict=verdict, interference=_INTERFERENCE.decode(interference),
        finding_id=finding_id, since=since, last=last, agree=agree, probes=probes, confidence=confidence,
    )  # fmt: skip


def _incident_row(row: tuple[Any, ...]) -> IncidentRow:
    incident_id, change, body, named, grouped = row
    return IncidentRow(incident_id, change, _INCIDENT_BODY.decode(body), named, grouped)


def _finding_row(row: tuple[Any, ...]) -> FindingRow:
    finding_id, cell, at, received_at, body, evidence = row
    finding = _FINDING.decode(body)
    return FindingRow(
        id=finding_id, cell=cell, probe=finding.probe.id, measurement=finding.measurement, target=finding.target,
        line=finding.line, verdict=finding.verdict, interference=finding.interference, at=at, received_at=received_at,
        has_evidence=bool(evidence),
    )  # fmt: skip
