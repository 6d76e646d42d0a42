"""The store in ClickHouse, reading side: what is committed, and what follows from it once it is settled."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.collector import fared
from probe.collector.cells import Cell
from probe.collector.clickhouse import found
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import listed, literal
from probe.collector.clickhouse.telling import stays_of
from probe.collector.heartbeats import Life, Silence, silences
from probe.collector.heartbeats_table import NEAR
from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.incidents.model import Incident
from probe.collector.search import Search
from probe.collector.sqlite_reader import MOST_CELLS
from probe.collector.store import FindingRow, IncidentRow, ProbeRow, RejectRow, StoredFinding
from probe.model.finding import Interference, Line, Target

_INCIDENT = msgspec.json.Decoder(Incident)
_LINE = msgspec.json.Decoder(Line)
_TARGET = msgspec.json.Decoder(Target)
_INTERFERENCE = msgspec.json.Decoder(Interference | None)
_CELL = (
    "SELECT cell, change, column_key, measurement, line, target, verdict, interference, finding_id, since, last, agree,"
    " probes, confidence FROM cells FINAL"
)
_CELL_KINDS = "sissbbsbsiiiif"
_SERIES = "country, operator, named, access, measurement, target, grouped"


class ClickHouseReader:
    """Implements :class:`probe.collector.store.Reader`."""

    def __init__(self, link: Link, *, own_homes: bool = False) -> None:
        """``own_homes``: a probe whose prefix the broker does not tell is a home of its own."""
        self._link, self._own_homes = link, own_homes

    def close(self) -> None:
        self._link.close()

    def cells(self, after: int = 0) -> list[Cell]:
        newest = f"{_CELL} WHERE change > {after} ORDER BY change DESC LIMIT {MOST_CELLS}"
        return self._cells(newest)[::-1]

    def cell(self, key: str) -> Cell | None:
        return next(iter(self.cells_named([key])), None)

    def cells_named(self, keys: Sequence[str]) -> list[Cell]:
        return self._cells(f"{_CELL} WHERE cell IN {listed(keys)}") if keys else []

    def findings(self, limit: int, cell: str | None = None) -> list[FindingRow]:
        where = [] if cell is None else [f"cell = {literal(cell)}"]
        return found.newest(self._link, where, limit)

    def search(self, search: Search) -> list[FindingRow]:
        return found.search(self._link, search)

    def crowd(self, since: int) -> list[tuple[Line, str]]:
        rows = self._link.rows(
            "bs", f"SELECT line, probe FROM crowd FINAL WHERE at >= {max(0, since)} ORDER BY column_key, probe"
        )
        return [(_LINE.decode(line), probe) for line, probe in rows]

    def homes(self) -> dict[str, str]:
        return dict(self._link.rows("ss", "SELECT probe, argMax(home, since) FROM homes GROUP BY probe"))

    def finding(self, finding_id: str) -> StoredFinding | None:
        return found.one(self._link, finding_id)

    def evidence(self, finding_id: str) -> bytes | None:
        return found.evidence(self._link, finding_id)

    def incidents(self, limit: int, *, open_only: bool = False, after: int = 0) -> list[IncidentRow]:
        where = f"change > {after}" + (" AND state = 'open'" if open_only else "")
        return self._incidents(where, f"ORDER BY until DESC, since DESC LIMIT {limit}")

    def incident(self, incident_id: str) -> IncidentRow | None:
        return next(iter(self._incidents(f"id = {literal(incident_id)}")), None)

    def history(self, targets: Sequence[str], since: int, until: int, slot: int) -> list[HistoryRow]:
        series = self._series(f"target IN {listed(targets)}") if targets else {}
        if not series:
            return []
        rows = self._link.rows(
            "sisii", f"SELECT cell, intDiv(hour, {slot}) * {slot} AS start, what, sum(n), uniqExact(probe)"
            f" FROM hourly FINAL WHERE cell IN {listed(series)} AND hour >= {since} AND hour < {until}"
            " GROUP BY cell, start, what",
        )  # fmt: skip
        told = []
        for cell, start, what, n, probes in rows:
            country, operator, named, access, measurement, target, _ = series[cell]
            told.append(msgspec.convert({
                "country": country, "operator": operator, "named": named, "access": access,
                "measurement": measurement, "target": target, "start": start, "what": what, "n": n, "probes": probes,
            }, HistoryRow))  # fmt: skip
        return sorted(told, key=lambda r: (r.country, r.operator, r.access, r.measurement, r.target, r.start, r.what))

    def looks(self, since: int, until: int) -> list[Look]:
        among = f"hour BETWEEN {since} AND {until} AND what NOT IN ('down', 'inconclusive')"
        rows = self._link.rows(
            "ssii", "SELECT cell, probe, toInt64(count()), toInt64(sum(bad)) FROM"
            f" (SELECT cell, hour, probe, max(what <> 'clean') AS bad FROM hourly WHERE {among}"
            " GROUP BY cell, hour, probe) GROUP BY cell, probe",
        )  # fmt: skip
        named = self._series(f"cell GLOBAL IN (SELECT cell FROM hourly WHERE {among})") if rows else {}
        series = {cell: (*parts[:2], *parts[3:]) for cell, parts in named.items()}
        homes = fared.homes({probe for _, probe, _, _ in rows}, stays_of(self._link), until, own=self._own_homes)
        return fared.looks(rows, series, homes)

    def silence(self, incident: Incident) -> tuple[Silence, ...]:
        if not incident.silent:
            return ()
        first, last, one = incident.silent[0][0], incident.silent[-1][1], incident.series
        series = listed([(one.country, one.operator, one.access, one.measurement, one.target)])
        rows = self._link.rows(
            "iiiii", "SELECT hour, " + ", ".join(
                f"toInt64(groupBitOr(toUInt64({name})))" for name in ("alive", "prompt", "busy", "linked")
            ) + f" FROM life WHERE hour BETWEEN {first} AND {last} AND probe GLOBAL IN"
            f" (SELECT probe FROM hourly WHERE hour BETWEEN {first - NEAR} AND {last + NEAR} AND cell GLOBAL IN"
            f" (SELECT cell FROM series WHERE (country, operator, access, measurement, target) IN {series}))"
            " GROUP BY hour, probe",
        )  # fmt: skip
        lives: dict[int, list[Life]] = {}
        for hour, *sets in rows:
            lives.setdefault(hour, []).append(Life(*sets))
        return silences(incident.silent, lives)

    def heartbeats(self, probe: str, since: int, until: int) -> list[bytes]:
        rows = self._link.rows(
            "ib", "SELECT hour, argMin(body, id) FROM life"
            f" WHERE probe = {literal(probe)} AND hour BETWEEN {since} AND {until} AND body <> ''"
            " GROUP BY hour ORDER BY hour",
        )  # fmt: skip
        return [body for _, body in rows]

    def probes(self) -> list[ProbeRow]:
        rows = self._link.rows("ssi", "SELECT what, probe, number FROM probes FINAL WHERE what IN ('seen', 'online')")
        told: dict[str, dict[str, int]] = {"seen": {}, "online": {}}
        for what, probe, number in rows:
            told[what][probe] = number
        return [ProbeRow(probe, bool(told["online"].get(probe)), at) for probe, at in sorted(told["seen"].items())]

    def rejects(self, limit: int) -> list[RejectRow]:
        rows = self._link.rows(
            "isssib", "SELECT received_at, topic, reason, detail, size, substring(payload, 1, 4096) FROM rejects FINAL"
            f" WHERE gone = 0 ORDER BY seq DESC LIMIT {limit}",
        )  # fmt: skip
        return [RejectRow(*row) for row in rows]

    def counters(self) -> dict[str, int]:
        told = dict(self._link.rows("si", "SELECT name, sum(value) FROM counters GROUP BY name ORDER BY name"))
        ((told["change"],),) = self._link.rows("i", "SELECT max(change) FROM cells")
        ((told["incident_change"],),) = self._link.rows("i", "SELECT max(change) FROM incidents")
        return {name: value for name, value in sorted(told.items()) if value}

    def _cells(self, query: str) -> list[Cell]:
        cells = []
        for row in self._link.rows(_CELL_KINDS, query):
            key, change, column, measurement, line, target, verdict, interference, finding_id, *numbers = row
            since, last, agree, probes, confidence = numbers
            cells.append(Cell(
                key=key, column=column, change=change, line=_LINE.decode(line), measurement=measurement,
                target=_TARGET.decode(target), verdict=verdict, interference=_INTERFERENCE.decode(interference),
                finding_id=finding_id, since=since, last=last, agree=agree, probes=probes, confidence=confidence,
            ))  # fmt: skip
        return cells

    def _incidents(self, where: str, order: str = "") -> list[IncidentRow]:
        rows = self._link.rows(
            "sisb", f"SELECT id, change, cell, body FROM incidents FINAL WHERE {where} AND gone = 0 {order}"
        )
        series = self._series(f"cell IN {listed({cell for _, _, cell, _ in rows})}") if rows else {}
        return [
            IncidentRow(incident_id, change, _INCIDENT.decode(body), series[cell][2], series[cell][6])
            for incident_id, change, cell, body in rows
        ]

    def _series(self, where: str) -> dict[str, Sequence[str]]:
        rows = self._link.rows("ssssssss", f"SELECT cell, {_SERIES} FROM series FINAL WHERE {where}")
        return {cell: parts for cell, *parts in rows}
