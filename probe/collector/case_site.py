"""The handlers of what has a history: incidents, their feed, and the timelines of a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from probe.collector import incident_views, timelines, views
from probe.collector.history import WHOLE
from probe.collector.incident_views import IncidentView
from probe.collector.incidents.model import HOUR
from probe.collector.languages.language import Code, mark
from probe.collector.pages import Pages
from probe.collector.search import MOST, Search
from probe.collector.store import FindingRow, IncidentRow, Reader

LISTED = 200
"""Incidents in a list; each keeps its own address whatever its age."""
GOING = 10
"""Of them at most, on the live page."""
_DAYS = {str(days): days for days in timelines.SPANS}
_USUAL = "7"


class CaseSite:
    """Plain functions: Starlette runs them beside the event loop."""

    def __init__(
        self, reader: Reader, pages: Mapping[Code, Pages], now: Callable[[], int], address: str = ""
    ) -> None:  # fmt: skip
        """``now`` in ms; ``address``: the monitor's own, if it is not the one that it is asked by."""
        self._address = address.rstrip("/")
        self._reader = reader
        self._pages = pages
        self._now = now

    def going(self, pages: Pages) -> list[IncidentView]:
        """Incidents that go on, for the live page."""
        return self._views(self._reader.incidents(GOING, open_only=True), pages)

    def incidents(self, request: Request) -> Response:
        """The list."""
        pages = self._in(request)
        return HTMLResponse(pages.incidents(self._views(self._reader.incidents(LISTED), pages)))

    def incident(self, request: Request) -> Response:
        """One incident's permanent page."""
        row = self._reader.incident(request.path_params["id"])
        if row is None:
            raise HTTPException(404, mark("No incident has this number."))
        pages, one = self._in(request), row.incident
        since = one.began.until
        until = self._now() + 1 if one.ended is None else one.ended.after + 1
        history = self._reader.history([one.series.target], since // HOUR * HOUR, until, WHOLE)
        return HTMLResponse(
            pages.incident(
                self._views([row], pages)[0],
                incident_views.places(one, self._findings(row, since, until), pages.language),
                incident_views.others(one, history, pages.language),
                self._site(request),
            )
        )

    def feed(self, request: Request) -> Response:
        """The list as Atom."""
        pages = self._in(request)
        page = pages.feed(self._views(self._reader.incidents(LISTED), pages), self._site(request))
        return Response(page, media_type="application/atom+xml")

    def target(self, request: Request) -> Response:
        """The timelines of a target."""
        days = _DAYS.get(request.query_params.get("days", _USUAL))
        if days is None:
            raise HTTPException(400, mark("A history is of 1, 7, 30 or 365 days."))
        key, now, pages = request.path_params["key"], self._now(), self._in(request)
        targets = [cell.target for cell in self._reader.cells()]
        known = [target for target in targets if views.target_key(views.target_name(target)) == key]
        if not known:
            raise HTTPException(404, mark("Nothing has been measured here."))
        name = views.target_name(known[0])
        history = self._reader.history(sorted({target.input for target in known}), *timelines.bounds(days, now))
        concerned = [one for one in self._views(self._reader.incidents(LISTED), pages) if one.target_key == key]
        line = timelines.timeline(name, history, days, now, pages.language)
        return HTMLResponse(pages.target(name, line, days, concerned))

    def _site(self, request: Request) -> str:
        return self._address or str(request.base_url).rstrip("/")

    def _in(self, request: Request) -> Pages:
        return self._pages[request.path_params["language"]]

    def _findings(self, row: IncidentRow, since: int, until: int) -> list[FindingRow]:
        series = row.incident.series
        return self._reader.search(
            Search(
                operators=frozenset({(series.country, series.operator)}), target=series.target, verdict="interfered",
                measurement=series.measurement, since=since, until=until, limit=MOST,
            )
        )  # fmt: skip

    def _views(self, rows: list[IncidentRow], pages: Pages) -> list[IncidentView]:
        keys = [incident_views.cell_key(row.incident) for row in rows]
        names = {cell.key: views.target_name(cell.target) for cell in self._reader.cells_named(keys)}
        now = self._now()
        return [
            incident_views.view(row, names.get(key, ""), now, pages.language)
            for row, key in zip(rows, keys, strict=True)
        ]
