"""The API, version 1: findings, states and incidents as JSON, CSV or Parquet, of whatever may be public.

docs/api/openapi.yaml describes it; a test holds the two against each other. The handlers are plain functions: Starlette
runs them, and the iterators that they hand out, beside the event loop.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from probe.collector import instants, public, rest_query
from probe.collector.cells import Cell, operator_key
from probe.collector.incidents.model import Incident
from probe.collector.public import Operator
from probe.collector.rest_cases import RestCases
from probe.collector.rest_query import MEDIA, MOST, Query
from probe.collector.rest_table import FINDINGS, INCIDENTS, STATES, Table
from probe.collector.rest_types import FindingItem, FindingPage, IncidentPage, StatePage
from probe.collector.search import MOST_INCIDENTS, Place, Search
from probe.collector.store import FindingRow, Reader
from probe.model.errors import UsageError
from probe.model.feed import short_hash
from probe.model.finding import Finding, Line

T = TypeVar("T")

CROWD_EVERY = 60.0
"""Seconds for which the crowd is remembered."""
TABLES = 4
"""Most tables that are written at once: they read all there is, and pages have to be answered meanwhile."""

OF_RESULTS = ("country", "operator", "target", "measurement", "verdict", "since", "until", "cursor", "limit", "format")
OF_INCIDENTS = ("country", "operator", "target", "measurement", "state", "since", "until", "cursor", "limit", "format")


class Rest:
    """The handlers, and what they are reached by (``routes``)."""

    def __init__(
        self, reader: Reader, now: Callable[[], int], consents: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """``now`` in ms; ``consents``: probes whose owners agreed to be their operator's only one in public."""
        self._reader, self._now, self._consents, self._clock = reader, now, consents, clock
        self._crowd: tuple[float, list[tuple[Line, str]]] | None = None
        self._tables = threading.BoundedSemaphore(TABLES)
        self.routes: list[BaseRoute] = [
            Route("/api/v1/findings", self.findings),
            Route("/api/v1/findings/{id}", self.finding),
            Route("/api/v1/states", self.states),
            Route("/api/v1/incidents", self.incidents),
            Route("/api/v1/incidents/{id}", self.incident),
            *RestCases(reader, now, consents).routes,
        ]

    def findings(self, request: Request) -> Response:
        query = _parsed(request, OF_RESULTS)
        search = Search(
            operators=self._operators(query), target=query.target, measurement=query.measurement,
            verdict=query.verdict, since=query.since, until=query.until, after=query.cursor,
        )  # fmt: skip
        if query.format != "json":
            return self._table(query, FINDINGS, "findings", self._pages(search, query.limit))
        items, following = self._page(msgspec.structs.replace(search, limit=query.limit or MOST))
        return _json(FindingPage(items=items, next=following))

    def finding(self, request: Request) -> Response:
        stored = self._reader.finding(request.path_params["id"])
        if stored is not None:
            line = msgspec.json.decode(stored.body, type=Finding).line
            if public.operator_of(line) in self._shown():
                return Response(stored.body, media_type=MEDIA["json"])
        raise HTTPException(404, "No finding that may be public has this number.")

    def states(self, request: Request) -> Response:
        query = _parsed(request, OF_RESULTS)
        shown = self._operators(query)
        of_one: dict[str, list[Cell]] = {}
        for cell in self._reader.cells():
            if public.operator_of(cell.line) in shown and _is_wanted(cell, query):
                name = "\x1f".join((cell.line.country, operator_key(cell.line), cell.target.input))
                of_one.setdefault(short_hash(name), []).append(cell)
        now = self._now()
        told = [(Place(0, name), public.state(cells, now)) for name, cells in of_one.items()]
        items, following = _cut(told, query)
        if query.format == "json":
            return _json(StatePage(items=items, next=following))
        rows = [(state, verdict) for state in items for verdict in state.verdicts]
        return self._table(query, STATES, "states", [rows])

    def incidents(self, request: Request) -> Response:
        query = _parsed(request, OF_INCIDENTS)
        shown = self._shown()
        rows = self._reader.incidents(MOST_INCIDENTS, open_only=query.state == "open")
        asked = rest_query.narrowed(query, {_whose(row.incident) for row in rows}, self._names())
        told = [
            (Place(row.incident.began.until, row.id), public.incident(row.id, row.incident))
            for row in rows
            if public.tellable(row.incident, shown) and _whose(row.incident) in asked and _is_meant(row.incident, query)
        ]
        items, following = _cut(told, query)
        kept = {row.id: row.incident for row in rows}
        items = [public.proven(item, self._reader.silence(kept[item.id])) for item in items]
        if query.format == "json":
            return _json(IncidentPage(items=items, next=following))
        return self._table(query, INCIDENTS, "incidents", [items])

    def incident(self, request: Request) -> Response:
        row = self._reader.incident(request.path_params["id"])
        if row is None or not public.tellable(row.incident, self._shown()):
            raise HTTPException(404, "No incident that may be public has this number.")
        return _json(public.proven(public.incident(row.id, row.incident), self._reader.silence(row.incident)))

    def _page(self, search: Search) -> tuple[list[FindingItem], str | None]:
        # One more than is shown tells whether there is a next page.
        rows = self._reader.search(msgspec.structs.replace(search, limit=search.limit + 1))
        items = [_item(row) for row in rows[: search.limit]]
        return items, rest_query.cursor(_place(rows[search.limit - 1])) if len(rows) > search.limit else None

    def _pages(self, search: Search, limit: int | None) -> Iterator[list[FindingItem]]:
        left = limit
        while left is None or left > 0:
            rows = self._reader.search(msgspec.structs.replace(search, limit=min(MOST, left or MOST)))
            if not rows:
                return
            yield [_item(row) for row in rows]
            left = left - len(rows) if left is not None else None
            search = msgspec.structs.replace(search, after=_place(rows[-1]))

    def _table(self, query: Query, table: Table[T], name: str, pages: Iterable[Sequence[T]]) -> Response:
        headers = {"Vary": "Accept", "Content-Disposition": f'attachment; filename="colibri-{name}.{query.format}"'}
        pieces: Iterator[str] | Iterator[bytes]
        if query.format == "csv":
            pieces = table.csv(pages)
        else:
            try:
                pieces = table.parquet(pages)
            except UsageError as error:
                raise HTTPException(501, str(error)) from error
        if not self._tables.acquire(blocking=False):
            raise HTTPException(503, "Too many tables are being written; try again later.", {"Retry-After": "30"})
        # However the answer ends, and even if it never begins: the place is free once nobody holds the pieces.
        weakref.finalize(pieces, self._tables.release).atexit = False
        return StreamingResponse(pieces, media_type=MEDIA[query.format], headers=headers)

    def _operators(self, query: Query) -> frozenset[Operator]:
        return rest_query.narrowed(query, self._shown(), self._names())

    def _shown(self) -> frozenset[Operator]:
        return public.shown(self._who(), self._consents, self._reader.homes())

    def _names(self) -> dict[Operator, set[str]]:
        return rest_query.called(self._who())

    def _who(self) -> list[tuple[Line, str]]:
        known = self._crowd  # read once: several threads come here
        if known is None or self._clock() - known[0] > CROWD_EVERY:
            known = self._clock(), self._reader.crowd(self._now() - public.LATELY)
            self._crowd = known
        return known[1]


def _parsed(request: Request, allowed: Iterable[str]) -> Query:
    try:
        return rest_query.parse(request.query_params.multi_items(), allowed, request.headers.get("accept", ""))
    except UsageError as error:
        raise HTTPException(400, str(error)) from error


def _is_wanted(cell: Cell, query: Query) -> bool:
    return (
        query.target in ("", cell.target.input, cell.target.name)
        and query.measurement in ("", cell.measurement)
        and query.verdict in (None, cell.verdict)
        and (query.since or 0) <= cell.last
        and (query.until is None or cell.last < query.until)
    )


def _is_meant(incident: Incident, query: Query) -> bool:
    """Whether an incident is asked for: of the times, any that it lasted."""
    series = incident.series
    return (
        query.target in ("", series.target)
        and query.measurement in ("", series.measurement)
        and query.state in (None, incident.state)
        and (query.until is None or incident.began.until < query.until)
        and (query.since is None or incident.ended is None or incident.ended.after >= query.since)
    )


def _whose(incident: Incident) -> Operator:
    return incident.series.country, incident.series.operator


def _cut(told: Iterable[tuple[Place, T]], query: Query) -> tuple[list[T], str | None]:
    """The page that is asked for, and the cursor of the next one."""
    ordered = sorted(told, key=lambda one: (one[0].time, one[0].id), reverse=True)
    if query.cursor is not None:
        ordered = [one for one in ordered if (one[0].time, one[0].id) < (query.cursor.time, query.cursor.id)]
    page = ordered[: query.limit]
    return [item for _, item in page], rest_query.cursor(page[-1][0]) if len(page) < len(ordered) else None


def _place(row: FindingRow) -> Place:
    return Place(row.at if row.at is not None else row.received_at, row.id)


def _item(row: FindingRow) -> FindingItem:
    return FindingItem(
        id=row.id, cell=row.cell, probe=row.probe, measurement=row.measurement, target=row.target, line=row.line,
        verdict=row.verdict, interference=row.interference, has_evidence=row.has_evidence,
        at=instants.to_text(row.at) if row.at is not None else None, received_at=instants.to_text(row.received_at),
    )  # fmt: skip


def _json(page: object) -> Response:
    return Response(msgspec.json.encode(page), media_type=MEDIA["json"], headers={"Vary": "Accept"})
