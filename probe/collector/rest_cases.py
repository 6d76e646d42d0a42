"""The API's cases: incidents that belong together, of whatever may be public."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from probe.collector import public, rest_query
from probe.collector.casebook import MOST, Told, gathered, rows_of, told
from probe.collector.incidents.cases import Case, Member, Part, case
from probe.collector.public_reader import PublicReader
from probe.collector.rest_query import MEDIA, Query
from probe.collector.rest_types import CaseItem, CasePage, CasePart, PublicCase
from probe.collector.search import Place
from probe.collector.store import IncidentRow, Reader
from probe.model.errors import UsageError
from probe.model.feed import PublicExemption

OF_CASES = ("country", "state", "since", "until", "cursor", "limit")


class RestCases:
    """The handlers, and what they are reached by (``routes``). Plain functions: Starlette runs them beside the event
    loop."""

    def __init__(self, reader: Reader, now: Callable[[], int], consents: Collection[str] = ()) -> None:
        """``now`` in ms; ``consents``: probes whose owners agreed to be their operator's only one in public."""
        self._reader = PublicReader(reader, consents, now)
        self._now = now
        self.routes: list[BaseRoute] = [
            Route("/api/v1/cases", self.cases),
            Route("/api/v1/cases/{id}", self.case),
        ]

    def cases(self, request: Request) -> Response:
        try:
            query = rest_query.parse(request.query_params.multi_items(), OF_CASES)
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        found = [(Place(rows[0].incident.began.until, rows[0].id), rows)
                 for rows in gathered(self._reader.incidents(MOST)) if _is_meant(rows, query)]  # fmt: skip
        found.sort(key=lambda one: (one[0].time, one[0].id), reverse=True)
        if query.cursor is not None:
            found = [one for one in found if (one[0].time, one[0].id) < (query.cursor.time, query.cursor.id)]
        page = found[: query.limit]
        following = rest_query.cursor(page[-1][0]) if len(page) < len(found) else None
        return _json(CasePage(items=[item(rows) for _, rows in page], next=following))

    def case(self, request: Request) -> Response:
        rows = rows_of(self._reader, request.path_params["id"])
        if not rows:
            raise HTTPException(404, "No case that may be public has this number.")
        if rows[0].id != request.path_params["id"]:
            return RedirectResponse(f"/api/v1/cases/{rows[0].id}", 302)
        return _json(whole(told(self._reader, rows, self._now())))


def item(rows: Sequence[IncidentRow]) -> CaseItem:
    """A case by its incidents (by their beginning), without what only others can tell of it."""
    return CaseItem(**_common(case([Member(row.id, row.group, row.incident) for row in rows], ())))


def whole(one: Told) -> PublicCase:
    """A case with what was measured beside it."""
    return PublicCase(
        **_common(one.case), traits=list(one.case.traits), measured=list(one.measured),
        exemptions=[PublicExemption(e.homes, public.minute(e.since), public.minute(e.until) if e.until else None)
                    for e in one.case.exemptions],
    )  # fmt: skip


def _common(one: Case) -> dict[str, Any]:
    return {
        "id": one.members[0], "country": one.country, "subject": one.subject, "calls": one.calls,
        "began": public.bounds(one.began), "ended": public.bounds(one.ended) if one.ended is not None else None,
        "incidents": list(one.members), "parts": [_part(part) for part in one.parts],
    }  # fmt: skip


def _part(part: Part) -> CasePart:
    return CasePart(
        operator=part.operator, access=part.access, began=public.bounds(part.began),
        ended=public.bounds(part.ended) if part.ended is not None else None, targets=list(part.targets),
        homes=part.homes, heard=part.heard,
    )  # fmt: skip


def _is_meant(rows: Sequence[IncidentRow], query: Query) -> bool:
    """Whether a case is asked for: of the times, any that it lasted."""
    incidents = [row.incident for row in rows]
    lasts = any(one.ended is None for one in incidents)
    end = max((one.ended.after for one in incidents if one.ended is not None), default=0)
    return (
        query.country in (None, incidents[0].series.country)
        and query.state in (None, "open" if lasts else "closed")
        and (query.until is None or incidents[0].began.until < query.until)
        and (query.since is None or lasts or end >= query.since)
    )


def _json(page: object) -> Response:
    return Response(msgspec.json.encode(page), media_type=MEDIA["json"])
