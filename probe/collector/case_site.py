"""The handlers of what has a history: cases, incidents, their feeds, and the timelines of a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from probe.collector import case_views, incident_views, instants, timelines, views
from probe.collector.case_views import CaseView
from probe.collector.case_words import Names
from probe.collector.casebook import MOST as MOST_INCIDENTS
from probe.collector.casebook import gathered, told
from probe.collector.heartbeats import Silence
from probe.collector.history import WHOLE
from probe.collector.incident_views import IncidentView
from probe.collector.incidents.model import HOUR
from probe.collector.languages.language import Code, mark
from probe.collector.pages import Pages
from probe.collector.search import MOST, Search
from probe.collector.store import FindingRow, IncidentRow, Reader

T = TypeVar("T")

LISTED = 200
"""Incidents in a list; each keeps its own address whatever its age."""
GOING = 10
"""Cases at most, on the live page."""
REMEMBERED = 64
"""Cases whose comparison with everybody else is kept while no incident changes, for a minute: it reads all there is."""
LOCATED, EACH = 8, 60
"""Where a case lies is told by so many of its incidents, and the newest findings of each."""
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
        self._kept: dict[str, tuple[tuple[int, int], Any]] = {}

    def going(self, pages: Pages) -> list[CaseView]:
        """Cases that go on, for the live page; each by what of it goes on."""
        return self._cases(gathered(self._reader.incidents(MOST_INCIDENTS, open_only=True)), pages, GOING)

    def cases(self, request: Request) -> Response:
        """The list of cases."""
        pages = self._in(request)
        return HTMLResponse(pages.cases(self._cases(self._gathered(), pages, LISTED)))

    def case(self, request: Request) -> Response:
        """One case's permanent page. It is reached by any of its incidents, so that a link outlives late findings."""
        pages, now, asked = self._in(request), self._now(), request.path_params["id"]
        rows = self._rows_of(asked)
        if not rows:
            raise HTTPException(404, mark("No case has this number."))
        if rows[0].id != asked:
            return RedirectResponse(f"/{pages.language.code}/case/{rows[0].id}", 302)
        names = Names.of(self._reader.cells(), rows)
        known = self._remembered(asked, lambda: told(self._reader, rows, now))
        view = case_views.view(rows, names, now, pages.language)
        places = case_views.places([(row, self._located(row, now)) for row in rows[-LOCATED:]], pages.language)
        listed = self._views(rows[-LISTED:], pages)
        return HTMLResponse(pages.case(view, known, names, places, listed, self._site(request)))

    def case_feed(self, request: Request) -> Response:
        """The list of cases as Atom."""
        pages = self._in(request)
        shown = self._cases(self._gathered(), pages, LISTED)
        return Response(pages.feed(shown, self._site(request), "case"), media_type="application/atom+xml")

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
        of = self._rows_of(row.id)
        part_of = self._cases([of], pages, 1) if len(of) > 1 else []
        history = self._reader.history([one.series.target], since // HOUR * HOUR, until, WHOLE)
        return HTMLResponse(
            pages.incident(
                self._views([row], pages, self._reader.silence(one))[0],
                incident_views.places(one, self._findings(row, since, until), pages.language),
                incident_views.others(one, history, pages.language),
                self._site(request),
                part_of[0] if part_of else None,
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

    def _cases(self, cases: list[list[IncidentRow]], pages: Pages, most: int) -> list[CaseView]:
        """The newest of these cases; those that go on first."""
        newest = sorted(cases, key=_recent, reverse=True)[:most]
        names, now = Names.of(self._reader.cells()) if newest else Names({}, {}), self._now()
        return [case_views.view(some, names, now, pages.language) for some in newest]

    def _gathered(self) -> list[list[IncidentRow]]:
        """All cases."""
        return self._remembered("", lambda: gathered(self._reader.incidents(MOST_INCIDENTS)))

    def _rows_of(self, incident_id: str) -> list[IncidentRow]:
        """Those of the case that an incident is of; none if there is no such incident."""
        return next((rows for rows in self._gathered() if any(row.id == incident_id for row in rows)), [])

    def _remembered(self, name: str, make: Callable[[], T]) -> T:
        """What was made of the incidents as they are, no longer than a minute ago."""
        age = self._reader.counters().get("incident_change", 0), self._now() // instants.MINUTE
        known = self._kept.get(name)
        if known is not None and known[0] == age:
            kept: T = known[1]
            return kept
        made = make()
        if len(self._kept) >= REMEMBERED:
            self._kept.clear()
        self._kept[name] = age, made
        return made

    def _located(self, row: IncidentRow, now: int) -> list[FindingRow]:
        one = row.incident
        return self._findings(row, one.began.until, now + 1 if one.ended is None else one.ended.after + 1, EACH)

    def _findings(self, row: IncidentRow, since: int, until: int, limit: int = MOST) -> list[FindingRow]:
        series = row.incident.series
        return self._reader.search(
            Search(
                operators=frozenset({(series.country, series.operator)}), target=series.target, verdict="interfered",
                measurement=series.measurement, since=since, until=until, limit=limit,
            )
        )  # fmt: skip

    def _views(
        self, rows: list[IncidentRow], pages: Pages, silences: Sequence[Silence] = ()
    ) -> list[IncidentView]:
        keys = [incident_views.cell_key(row.incident) for row in rows]
        names = {cell.key: views.target_name(cell.target) for cell in self._reader.cells_named(keys)}
        now = self._now()
        return [
            incident_views.view(row, names.get(key, ""), now, pages.language, silences)
            for row, key in zip(rows, keys, strict=True)
        ]


def _recent(rows: list[IncidentRow]) -> tuple[bool, int]:
    """By what goes on, then by what changed last."""
    return any(row.incident.ended is None for row in rows), max(incident_views.changed(row.incident) for row in rows)
