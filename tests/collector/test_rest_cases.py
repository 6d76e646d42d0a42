"""Cases over the API, from findings in a real store, by types that the documents are made from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from probe.collector.incidents.cases import Abroad, Alone, Company
from probe.collector.rest_cases import RestCases
from probe.collector.rest_types import CasePage, PublicCase
from probe.model.finding import Line
from tests.collector.test_rollup import CUT, END, TUNISIA, Probes, findings, give

if TYPE_CHECKING:
    from tests.collector.conftest import Desk

NEIGHBOUR, LONELY = Line("Oasis", 327931, "DZ", "mobile"), Line("Lonely", 64599, "DZ", "fixed")
Get = Callable[..., httpx.Response]


@pytest.fixture
def get(desk: Desk) -> Get:
    def fetch(path: str, consents: Collection[str] = ()) -> httpx.Response:
        app = Starlette(routes=RestCases(desk.reader, lambda: END, consents).routes)

        async def main() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return await client.get(path)

        return asyncio.run(main())

    return fetch


@pytest.fixture
def company(desk: Desk, probes: Probes) -> list[str]:
    """Two addresses of one company are cut on one operator of three; one of these has a single home."""
    for number, target in enumerate(("196.20.66.10", "196.20.66.11")):
        give(desk, findings(probes, target=target, prefix=f"home{number}", homes=2))
        for line, prefix, homes in ((NEIGHBOUR, "next", 2), (TUNISIA, "abroad", 2), (LONELY, "lonely", 1)):
            name = f"{prefix}{number}-"
            some = findings(probes, lambda _: "good", target=target, prefix=name, homes=homes, line=line)
            give(desk, some if prefix != "lonely" or not number else [])
    rows = sorted(desk.reader.incidents(10), key=lambda row: (row.incident.began.until, row.id))
    return [row.id for row in rows]


def test_a_list_and_a_case(company: list[str], get: Get) -> None:
    page = msgspec.json.decode(get("/api/v1/cases").content, type=CasePage)
    (item,) = page.items
    assert page.next is None
    assert item.incidents == company
    assert (item.id, item.country, item.subject, item.calls) == (company[0], "DZ", "octenium", False)
    (part,) = item.parts
    assert (part.operator, part.targets, part.homes, part.heard) == (
        "AS36947", ["196.20.66.10", "196.20.66.11"], 2, 2
    )  # fmt: skip
    assert item.began.until is not None
    assert item.began.until.endswith(":00.000Z"), "to the minute"
    answer = get(f"/api/v1/cases/{company[0]}")
    one = msgspec.json.decode(answer.content, type=PublicCase)
    assert msgspec.json.decode(msgspec.json.encode(one)) == answer.json(), "nothing besides what the schema says"
    assert Company("AS36947", 2, 2, 0) in one.traits
    assert Alone(("AS327931",)) in one.traits
    assert Abroad(("TN",), ()) in one.traits
    moved = get(f"/api/v1/cases/{company[1]}")
    assert (moved.status_code, moved.headers["location"]) == (302, f"/api/v1/cases/{company[0]}")


def test_an_operator_with_a_single_home_is_not_spoken_of_unless_its_owner_agreed(company: list[str], get: Get) -> None:
    said: Any = get(f"/api/v1/cases/{company[0]}")
    assert said.json()["measured"] == ["AS327931", "AS36947"]
    assert "AS64599" not in said.text
    agreed = get(f"/api/v1/cases/{company[0]}", ["lonely0-0"])
    assert agreed.json()["measured"] == ["AS327931", "AS36947", "AS64599"]


def test_a_case_of_an_operator_that_may_not_be_shown_is_none(desk: Desk, probes: Probes, get: Get) -> None:
    give(desk, findings(probes, homes=1))
    assert get("/api/v1/cases").json()["items"] == []
    for row in desk.reader.incidents(10):
        assert get(f"/api/v1/cases/{row.id}").status_code == 404


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("country=DZ", True), ("country=MA", False), ("state=closed", True), ("state=open", False),
        (f"until={CUT[0][:10]}", False), ("since=2026-01-07&until=2026-01-08", True), ("since=2026-01-14", False),
        ("limit=1", True),
    ],
)  # fmt: skip
def test_what_is_asked_for(desk: Desk, probes: Probes, get: Get, query: str, there: bool) -> None:
    give(desk, findings(probes, homes=2))
    assert bool(get(f"/api/v1/cases?{query}").json()["items"]) == there


def test_pages_neither_overlap_nor_leave_out(desk: Desk, probes: Probes, get: Get) -> None:
    for number in range(3):
        line = Line(f"Op {number}", 64600 + number, "DZ", "fixed")
        some = findings(probes, homes=2, prefix=f"h{number}-", target=f"10.0.0.{number}", line=line)
        alone = [msgspec.structs.replace(one.target, group="") for one in some]
        give(desk, [msgspec.structs.replace(one, target=target) for one, target in zip(some, alone, strict=True)])
    seen, path = [], "/api/v1/cases?limit=1"
    while path:
        page = get(path).json()
        seen += [item["id"] for item in page["items"]]
        path = f"/api/v1/cases?limit=1&cursor={page['next']}" if page["next"] else ""
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize("query", ["state=maybe", "operator=AS1", "since=yesterday", "limit=0", "cursor=x"])
def test_what_is_not_understood_is_refused_by_name(get: Get, query: str) -> None:
    answer = get(f"/api/v1/cases?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


def test_what_is_not_there(get: Get) -> None:
    assert get("/api/v1/cases/" + "0" * 16).status_code == 404
