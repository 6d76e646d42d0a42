"""The API over ASGI: what may be public and nothing else, in pages, in three formats."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from pyarrow import parquet
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse

from probe.collector import instants, rest
from probe.collector.incidents.model import Bounds, Incident, Series
from probe.collector.rest import Rest
from probe.collector.rest_types import FindingPage, IncidentPage, StatePage
from probe.collector.store import IncidentRow
from probe.model import feed
from probe.model.finding import Finding, Line, Target

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
ATLAS = Line("Atlas Telecom", 64501, "MA", "fixed")
SAHARA = Line("Sahara", 0, "DZ", "mobile")
LONE = Line("Lone Net", 64509, "TN", "fixed")
Probes = Callable[..., "FakeProbe"]
Get = Callable[..., httpx.Response]


class Shelf:
    """A reader with incidents of the test's own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.kept: list[IncidentRow] = []
        self.crowds = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk.reader, name)

    def crowd(self, since: int) -> list[tuple[Line, str]]:
        self.crowds += 1
        return self._desk.reader.crowd(since)

    def incidents(self, limit: int, *, open_only: bool = False) -> list[IncidentRow]:
        return [row for row in self.kept if not open_only or row.incident.state == "open"][:limit]

    def incident(self, incident_id: str) -> IncidentRow | None:
        return next((row for row in self.kept if row.id == incident_id), None)


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    return Shelf(desk)


@pytest.fixture
def consents() -> list[str]:
    return []


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def get(shelf: Shelf, consents: list[str], clock: list[float]) -> Get:
    reader: Any = shelf
    app = Starlette(routes=Rest(reader, lambda: NOON, consents, lambda: clock[0]).routes)

    def fetch(path: str, accept: str = "", **parameters: str) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
                return await client.get(f"/api/v1/{path}", params=parameters, headers={"accept": accept})

        return asyncio.run(main())

    return fetch


@pytest.fixture
def findings(desk: Desk, probes: Probes) -> list[Finding]:
    """Two probes on Atlas, two on Sahara, a single one on Lone Net; oldest first."""
    lines = [("p-1", ATLAS), ("p-2", ATLAS), ("p-3", SAHARA), ("p-4", SAHARA), ("p-alone", LONE)]
    made = [
        probes(name, line, seed=number).finding("interfered" if number % 2 else "clean", NOON - 100 + 10 * number)
        for number, (name, line) in enumerate(lines * 2)
    ]
    desk.give(*made)
    return made


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item.id for item in msgspec.json.decode(answer.content, type=FindingPage).items]


def public(findings: list[Finding]) -> list[str]:
    return [f.id for f in reversed(findings) if f.line.operator != "Lone Net"]


def test_findings_newest_first_without_the_lone_probe_s(findings: list[Finding], get: Get) -> None:
    answer = get("findings")
    assert ids(answer) == public(findings)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("consents", [["p-alone"]])
def test_an_owner_who_agreed_is_public(findings: list[Finding], consents: list[str], get: Get) -> None:
    assert ids(get("findings")) == [f.id for f in reversed(findings)]


@pytest.mark.parametrize(
    ("parameters", "who"),
    [
        ({"country": "DZ"}, {"p-3", "p-4"}),
        ({"country": "TN"}, set()),
        ({"operator": "lone net"}, set()),
        ({"operator": "AS64501"}, {"p-1", "p-2"}),
        ({"operator": "Sahara", "verdict": "interfered"}, {"p-3", "p-4"}),
        ({"target": "news.example", "measurement": "dns_injection", "country": "MA"}, {"p-1", "p-2"}),
        ({"target": "other.example"}, set()),
        ({"since": "2026-03-01T11:59:59.970Z"}, {"p-3", "p-4"}),
        ({"until": "2026-03-01T11:59:59.915Z"}, {"p-1", "p-2"}),
    ],
)
def test_filters(findings: list[Finding], get: Get, parameters: dict[str, str], who: set[str]) -> None:
    page = msgspec.json.decode(get("findings", **parameters).content, type=FindingPage)
    assert {item.probe for item in page.items} == who


def test_pages_by_cursor(findings: list[Finding], get: Get) -> None:
    seen, parameters = list[str](), {"limit": "3"}
    while True:
        page = msgspec.json.decode(get("findings", **parameters).content, type=FindingPage)
        seen += [item.id for item in page.items]
        if page.next is None:
            break
        assert len(page.items) == 3
        parameters["cursor"] = page.next
    assert seen == public(findings)


def test_a_page_that_is_just_full_is_the_last(findings: list[Finding], get: Get) -> None:
    assert msgspec.json.decode(get("findings", limit="8").content, type=FindingPage).next is None


def test_one_finding_whole_if_it_may_be_public(findings: list[Finding], get: Get) -> None:
    atlas, lone = findings[0], findings[4]
    assert msgspec.json.decode(get(f"findings/{atlas.id}").content, type=Finding) == atlas
    assert get(f"findings/{lone.id}").status_code == 404
    assert get("findings/'; DROP TABLE findings; --").status_code == 404


def test_csv_holds_all_pages(findings: list[Finding], get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MOST", 3)
    answer = get("findings", "text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="colibri-findings.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["id"] for row in rows] == public(findings)
    limited = csv.DictReader(io.StringIO(get("findings", "text/csv", limit="4").text, newline=""))
    assert [row["id"] for row in limited] == public(findings)[:4]


def test_parquet_by_parameter(findings: list[Finding], get: Get) -> None:
    answer = get("findings", format="parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(answer.content))
    assert table.column("id").to_pylist() == public(findings)


def test_without_pyarrow_parquet_is_not_implemented(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = get("states", format="parquet")
    assert answer.status_code == 501
    assert "pip install" in answer.text


def test_so_many_tables_at_once_and_their_places_are_free_again(
    findings: list[Finding], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader: Any = shelf
    monkeypatch.setattr(rest, "TABLES", 2)
    api = Rest(reader, lambda: NOON)
    request = Request({"type": "http", "query_string": b"format=csv", "headers": []})
    begun, unread = api.findings(request), api.states(request)
    assert isinstance(begun, StreamingResponse)
    with pytest.raises(HTTPException) as refused:
        api.incidents(request)
    assert refused.value.status_code == 503
    assert refused.value.headers == {"Retry-After": "30"}
    del unread, refused
    assert api.incidents(request).status_code == 200


@pytest.mark.parametrize("path", ["findings", "states", "incidents"])
def test_a_wrong_parameter_is_named(get: Get, path: str) -> None:
    answer = get(path, limit="many")
    assert answer.status_code == 400
    assert answer.text == "limit: 'many' is not a number from 1 to 1000"


def test_states_are_told_as_on_the_feed(findings: list[Finding], get: Get) -> None:
    page = msgspec.json.decode(get("states").content, type=StatePage)
    assert {(state.country, state.operator, len(state.verdicts)) for state in page.items} == {
        ("MA", "Atlas Telecom", 1), ("DZ", "Sahara", 1),
    }  # fmt: skip
    assert b"p-" not in get("states").content
    (only,) = msgspec.json.decode(get("states", country="DZ").content, type=StatePage).items
    assert only.verdicts[0].probes == 2


def test_states_in_pages_and_as_a_table(desk: Desk, probes: Probes, get: Get) -> None:
    targets = [Target(f"{number}.example") for number in range(5)]
    for probe in (probes("p-1"), probes("p-2")):
        desk.give(*(probe.finding(target=target) for target in targets))
    seen, parameters = list[str](), {"limit": "2"}
    while True:
        page = msgspec.json.decode(get("states", **parameters).content, type=StatePage)
        seen += [state.target.input for state in page.items]
        if page.next is None:
            break
        parameters["cursor"] = page.next
    assert sorted(seen) == [target.input for target in targets]
    rows = list(csv.DictReader(io.StringIO(get("states", format="csv").text, newline="")))
    assert [row["target"] for row in rows] == seen


def incident(number: int, country: str = "MA", operator: str = "AS64501", **changes: Any) -> IncidentRow:
    made = Incident(
        series=Series(country, operator, "fixed", "voip", "sip.example", "voip_stun"), state="open",
        began=Bounds(NOON - 2000, NOON - 1000 + number), ended=None, homes=3, heard=4, dissent=("p-9",), share=0.5,
        hours=((0, 0),) * 24, intermittent=False, exemptions=(), silent=(), sure=0.3,
    )  # fmt: skip
    return IncidentRow(f"{number:016x}", number, msgspec.structs.replace(made, **changes), "Atlas", "")


ENDED: dict[str, Any] = {"state": "closed", "ended": Bounds(NOON, NOON + 1)}


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({}, [3, 2, 1]),
        ({"state": "closed"}, [2]),
        ({"state": "open"}, [3, 1]),
        ({"country": "DZ"}, [3]),
        ({"operator": "as64501"}, [2, 1]),
        ({"target": "sip.example", "measurement": "voip"}, [3, 2, 1]),
        ({"target": "x"}, []),
        ({"measurement": "tcp_reset"}, []),
        ({"since": "2026-03-01T12:00:00.001Z"}, [3, 1]),
        ({"until": "2026-03-01T11:59:59.002Z"}, [1]),
        ({"limit": "2"}, [3, 2]),
        ({"cursor": f"{NOON - 1000 + 2}~{2:016x}"}, [1]),
    ],
)
def test_incidents(shelf: Shelf, get: Get, parameters: dict[str, str], numbers: list[int]) -> None:
    shelf.kept = [incident(1), incident(3, "DZ", "sahara"), incident(2, **ENDED)]
    shelf.kept += [incident(4, heard=1, homes=1), incident(5, state="suspected")]
    page = msgspec.json.decode(get("incidents", **parameters).content, type=IncidentPage)
    assert [int(one.id, 16) for one in page.items] == numbers


def test_one_incident(shelf: Shelf, get: Get) -> None:
    shelf.kept = [incident(1), incident(2, state="suspected")]
    told = msgspec.json.decode(get(f"incidents/{1:016x}").content, type=feed.PublicIncident)
    assert (told.homes, told.heard, told.dissent) == (3, 4, 1)
    assert get(f"incidents/{2:016x}").status_code == 404
    assert get("incidents/none").status_code == 404


def test_incidents_as_a_table(shelf: Shelf, get: Get) -> None:
    shelf.kept = [incident(1), incident(2, **ENDED)]
    rows = list(csv.DictReader(io.StringIO(get("incidents", format="csv").text, newline="")))
    assert [row["state"] for row in rows] == ["closed", "open"]
    assert [row["ended_after"] for row in rows] == ["2026-03-01T12:00:00.000Z", ""]


def test_who_measures_is_asked_once_a_minute(shelf: Shelf, get: Get, clock: list[float]) -> None:
    get("findings")
    get("states")
    assert shelf.crowds == 1
    clock[0] = 61.0
    get("findings")
    assert shelf.crowds == 2
