"""The monitor's web application: pages, JSON, server-sent events. Reads the store, never writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probe.collector import instants
from probe.collector.cells import Cell
from probe.collector.events import VIEWERS, Hub, Update
from probe.collector.ingest import unpack
from probe.collector.pages import HERE, Pages
from probe.collector.store import FindingRow, Reader
from probe.model.errors import StoreError
from probe.model.finding import Finding

RECENT = 50
MOST = 1000

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


class Site:
    """The handlers. Those that read the store are plain functions: Starlette runs them beside the event loop."""

    def __init__(self, reader: Reader, trouble: Callable[[], str], now: Callable[[], int]) -> None:
        """``trouble``: what ails the subscriber (empty: nothing); ``now`` in ms. Needs a running event loop."""
        self._reader = reader
        self._trouble = trouble
        self._now = now
        self._pages = Pages()
        self.hub = Hub(self._changes)

    def home(self, _: Request) -> Response:
        r = self._reader
        return HTMLResponse(self._pages.monitor(r.cells(), r.probes(), r.counters(), self._now()))

    def cell(self, request: Request) -> Response:
        cell = self._reader.cell(request.path_params["key"])
        if cell is None:
            raise HTTPException(404, "Nothing has been measured here.")
        decisive = self._finding(cell.finding_id)
        findings = self._reader.findings(RECENT, cell.key)
        return HTMLResponse(self._pages.cell(cell, decisive, findings, self._now()))

    def finding(self, request: Request) -> Response:
        stored = self._reader.finding(request.path_params["id"])
        if stored is None:
            raise HTTPException(404, "No finding has this number.")
        return HTMLResponse(self._pages.finding(stored, msgspec.json.decode(stored.body, type=Finding)))

    def evidence(self, request: Request) -> Response:
        finding_id = request.path_params["id"]
        packed = self._reader.evidence(finding_id)
        if packed is None:
            raise HTTPException(404, "There is no capture for this finding.")
        disposition = f'attachment; filename="colibri-{finding_id}.pcapng"'
        return Response(unpack(packed), media_type="application/x-pcapng", headers={"Content-Disposition": disposition})

    async def events(self, request: Request) -> Response:
        if self.hub.viewers >= VIEWERS:
            raise HTTPException(503, "Too many viewers; reload the page instead.")
        after = _number(request.headers.get("last-event-id") or request.query_params.get("after", "0"), 0, 2**62)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(self.hub.stream(after), media_type="text/event-stream", headers=headers)

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
        message = error.detail if isinstance(error, HTTPException) else str(error)
        if request.url.path.startswith(("/api/", "/healthz")):
            return JSONResponse({"error": message}, status)
        return HTMLResponse(self._pages.error(status, message), status)

    def _finding(self, finding_id: str) -> Finding:
        stored = self._reader.finding(finding_id)
        if stored is None:
            raise StoreError(f"finding {finding_id} is named by a cell and not stored")
        return msgspec.json.decode(stored.body, type=Finding)

    async def _changes(self, after: int) -> Update:
        return await asyncio.to_thread(self._look, after)

    def _look(self, after: int) -> Update:
        if self._reader.counters().get("change", 0) == after:
            return Update([], after)  # what nearly every new viewer finds
        return self._pages.update(self._reader.cells(), after, self._now())


def make_app(site: Site) -> ASGIApp:
    """The ASGI application around the handlers."""
    routes = [
        Route("/", site.home),
        Route("/cell/{key}", site.cell),
        Route("/finding/{id}", site.finding),
        Route("/finding/{id}/evidence.pcapng", site.evidence),
        Route("/events", site.events),
        Route("/api/state", site.api_state),
        Route("/api/findings", site.api_findings),
        Route("/api/finding/{id}", site.api_finding),
        Route("/healthz", site.health),
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
