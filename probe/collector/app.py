"""The monitor's web application: pages, JSON, server-sent events. Reads the store, never writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probe.collector import instants
from probe.collector.case_site import CaseSite
from probe.collector.cells import Cell
from probe.collector.counters.views import CounterView
from probe.collector.events import VIEWERS, Changes, EventStream, Hub, Update
from probe.collector.ingest import unpack
from probe.collector.languages.language import CODES, Code, Language, load, mark
from probe.collector.languages.negotiate import preferred
from probe.collector.pages import HERE, Pages
from probe.collector.seats import Seats
from probe.collector.store import FindingRow, Reader
from probe.model.errors import StoreError
from probe.model.finding import Finding

RECENT = 50
FRESH = 5 * instants.SECOND
"""For so long the live page is kept while nothing changes, so that a crowd that reloads it costs one rendering."""
MOST = 1000
_WENT_WRONG = {
    400: mark("This address asks for something that can't be."),
    404: mark("There is nothing at this address."),
    405: mark("This can only be read."),
}
_TROUBLE = mark("The store can't be read at the moment.")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class _LanguageConvertor(StringConvertor):
    """The first part of a page's address."""

    regex = "|".join(CODES)


register_url_convertor("language", _LanguageConvertor())


class Site:
    """The handlers. Those that read the store are plain functions: Starlette runs them beside the event loop."""

    def __init__(
        self, reader: Reader, trouble: Callable[[], str], now: Callable[[], int], address: str = "",
        *, counting: bool = False,
    ) -> None:  # fmt: skip
        """``trouble``: what ails the subscriber (empty: nothing); ``now`` in ms; ``address``: the monitor's own, for
        permanent links (empty: the one that it was asked by); ``counting``: whether there are public counters. Needs a
        running event loop."""
        self._reader = reader
        self._trouble = trouble
        self._now = now
        self._pages: dict[Code, Pages] = {
            code: Pages(load(code), counting=counting) for code in CODES
        }
        self.counted: Callable[[Language], Sequence[CounterView]] = lambda _: ()
        """Public counters, to be shown beside it."""
        self.cases = CaseSite(reader, self._pages, now, address)
        self._kept: dict[Code, tuple[tuple[int, ...], str]] = {}
        self.seats = Seats()
        self.hub = Hub({code: self._changes(code) for code in CODES})
        self._cells: tuple[tuple[int, int], list[Cell]] = (-1, -1), []

    def newest(self) -> int:
        """The number of the newest change that is shown."""
        return max((cell.change for cell in self._reader.cells()), default=0)

    def choose(self, request: Request) -> Response:
        """An address without a language leads to the same one in the language that the browser likes best."""
        query = f"?{request.url.query}" if request.url.query else ""
        location = f"/{_liked(request)}{quote(request.scope['path'])}{query}"
        return RedirectResponse(location, 302, headers={"Vary": "Accept-Language", "Cache-Control": "no-cache"})

    def home(self, request: Request) -> Response:
        r, now, pages = self._reader, self._now(), self._in(request)
        counters = r.counters()
        age = (counters.get("change", 0), counters.get("incident_change", 0), now // FRESH)
        kept, page = self._kept.get(pages.language.code, (None, ""))
        if kept != age:
            going, counted = self.cases.going(pages), self.counted(pages.language)
            page = pages.monitor(r.cells(), r.probes(), counters, now, going, counted)
            self._kept[pages.language.code] = age, page
        return HTMLResponse(page)

    def cell(self, request: Request) -> Response:
        cell = self._reader.cell(request.path_params["key"])
        if cell is None:
            raise HTTPException(404, mark("Nothing has been measured here."))
        decisive = self._finding(cell.finding_id)
        findings = self._reader.findings(RECENT, cell.key)
        return HTMLResponse(self._in(request).cell(cell, decisive, findings, self._now()))

    def finding(self, request: Request) -> Response:
        stored = self._reader.finding(request.path_params["id"])
        if stored is None:
            raise HTTPException(404, mark("No finding has this number."))
        return HTMLResponse(self._in(request).finding(stored, msgspec.json.decode(stored.body, type=Finding)))

    def evidence(self, request: Request) -> Response:
        finding_id = request.path_params["id"]
        packed = self._reader.evidence(finding_id)
        if packed is None:
            raise HTTPException(404, mark("There is no capture for this finding."))
        disposition = f'attachment; filename="colibri-{finding_id}.pcapng"'
        return Response(unpack(packed), media_type="application/x-pcapng", headers={"Content-Disposition": disposition})

    async def events(self, request: Request) -> Response:
        if self.hub.streams >= VIEWERS or not self.seats.free(request):
            raise HTTPException(503, mark("Too many viewers; reload the page instead."), {"Retry-After": "60"})
        after = _number(request.headers.get("last-event-id") or request.query_params.get("after", "0"), 0, 2**62)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        stream = partial(self.hub.stream, request.path_params["language"], after)
        return EventStream(lambda at_once: self.seats.taken(request, stream(at_once)), headers)

    def api_state(self, _: Request) -> Response:
        cells = self._reader.cells()
        change = max((cell.change for cell in cells), default=0)
        return _json({"schema": "colibri.monitor/1", "change": change, "cells": [_cell_json(c) for c in cells]})

    def api_findings(self, request: Request) -> Response:
        limit = _number(request.query_params.get("limit", "100"), 1, MOST)
        rows = self._reader.findings(limit, request.query_params.get("cell"))
        return _json({"schema": "colibri.findings/1", "findings": [_row_json(row) for row in rows]})

    def api_finding(self, request: Request) -> Response:
        stored = self._reader.finding(request.path_params["id"])
        if stored is None:
            raise HTTPException(404, "No finding has this number.")
        return Response(stored.body, media_type="application/json")

    def health(self, _: Request) -> Response:
        counters = self._reader.counters()
        trouble = self._trouble()
        rejected = {n.removeprefix("rejected."): v for n, v in counters.items() if n.startswith("rejected.")}
        plain = {name: value for name, value in counters.items() if "." not in name and name != "change"}
        health = {
            "status": "trouble" if trouble else "ok",
            "trouble": trouble,
            "counters": {"received": 0, "stored": 0, "duplicate": 0, **plain},
            "rejected": rejected,
            "viewers": {"now": self.hub.viewers, "dropped": self.hub.dropped},
        }
        return JSONResponse(health, 503 if trouble else 200)

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 503
        said = error.detail if isinstance(error, HTTPException) else str(error)
        if request.url.path.startswith(("/api/", "/healthz", "/metrics")):
            return JSONResponse({"error": said}, status, error.headers if isinstance(error, HTTPException) else None)
        first = request.url.path.split("/")[1]
        pages = self._pages[next((code for code in CODES if code == first), _liked(request))]
        if isinstance(error, HTTPException) and said != HTTPStatus(status).phrase:
            return HTMLResponse(pages.error(status, said), status, error.headers)
        return HTMLResponse(pages.error(status, _WENT_WRONG.get(status, _TROUBLE), said), status)

    def _in(self, request: Request) -> Pages:
        return self._pages[request.path_params["language"]]

    def _finding(self, finding_id: str) -> Finding:
        stored = self._reader.finding(finding_id)
        if stored is None:
            raise StoreError(f"finding {finding_id} is named by a cell and not stored")
        return msgspec.json.decode(stored.body, type=Finding)

    def _changes(self, code: Code) -> Changes:
        async def changes(after: int) -> Update:
            return await asyncio.to_thread(self._look, code, after)

        return changes

    def _look(self, code: Code, after: int) -> Update:
        change, now = self._reader.counters().get("change", 0), self._now()
        if change == after:
            return Update([], after)  # what nearly every new viewer finds
        age, cells = self._cells
        if age != (change, now // FRESH):
            cells = self._reader.cells()
            self._cells = (change, now // FRESH), cells  # for the other languages
        return self._pages[code].update(cells, after, now)


def make_app(site: Site, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """The ASGI application around the handlers; ``more``: routes beside the site's own."""
    pages = {
        "/": site.home,
        "/cell/{key}": site.cell,
        "/finding/{id}": site.finding,
        "/cases": site.cases.cases,
        "/cases.atom": site.cases.case_feed,
        "/case/{id}": site.cases.case,
        "/incidents": site.cases.incidents,
        "/incidents.atom": site.cases.feed,
        "/incident/{id}": site.cases.incident,
        "/target/{key}": site.cases.target,
    }
    routes = [
        *(Route(f"/{{language:language}}{path}", handler) for path, handler in pages.items()),
        *(Route(path, site.choose) for path in (*pages, "/events")),
        Route("/{language:language}/events", site.events),
        Route("/finding/{id}/evidence.pcapng", site.evidence),
        Route("/api/state", site.api_state),
        Route("/api/findings", site.api_findings),
        Route("/api/finding/{id}", site.api_finding),
        Route("/healthz", site.health),
        *more,
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    handlers: Any = {HTTPException: site.on_http_error, StoreError: site.on_http_error}
    return _WithHeaders(Starlette(routes=routes, exception_handlers=handlers))


class _WithHeaders:
    """Adds the security headers to every answer; a plain ASGI layer, so that streams stay streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _liked(request: Request) -> Code:
    return preferred(request.headers.get("accept-language", ""))


def _number(text: str, least: int, most: int) -> int:
    # isdecimal() also takes digits of other scripts; int() reads those too, so the two agree.
    if not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        raise HTTPException(400, f"expected a number from {least} to {most}")
    return int(text)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _cell_json(cell: Cell) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(cell)
    return {**fields, "since": instants.to_text(cell.since), "last": instants.to_text(cell.last)}


def _row_json(row: FindingRow) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(row)
    at = instants.to_text(row.at) if row.at is not None else None
    return {**fields, "at": at, "received_at": instants.to_text(row.received_at)}
