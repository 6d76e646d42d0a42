"""The monitor over ASGI: pages, JSON, downloads, headers, errors."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from probe.collector import instants, rest
from probe.collector.app import FRESH, HEADERS, Site, make_app
from probe.collector.pages import Pages
from probe.collector.rest import Rest
from probe.model import feed
from probe.model.finding import Finding

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]
Capture = Callable[[Finding], tuple[str, bytes]]
Get = Callable[..., httpx.Response]


@pytest.fixture
def trouble() -> list[str]:
    """What ails the subscriber; empty: nothing."""
    return []


@pytest.fixture
def get(desk: Desk, trouble: list[str]) -> Get:
    def fetch(path: str, method: str = "GET", **headers: str) -> httpx.Response:
        async def main() -> httpx.Response:
            site = Site(desk.reader, lambda: "".join(trouble), lambda: NOON)
            transport = httpx.ASGITransport(make_app(site))
            async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(main())

    return fetch


def json(response: httpx.Response) -> Any:
    assert response.headers["content-type"] == "application/json"
    return response.json()


def test_from_the_page_to_the_proof(desk: Desk, probes: Probes, evidence_of: Capture, get: Get) -> None:
    finding = probes().finding("interfered")
    desk.give(finding, evidence_of(finding))
    home = get("/en/")
    assert home.status_code == 200
    assert "Interference on 1 of 1 operator now" in home.text
    link = f"/en/cell/{desk.reader.cells()[0].key}"
    assert f'href="{link}"' in home.text
    cell = get(link)
    assert f'href="/finding/{finding.id}/evidence.pcapng"' in cell.text
    assert f'href="/en/finding/{finding.id}"' in cell.text
    assert "An address that runs no resolver answered 3 of 3 questions." in cell.text
    assert get(f"/en/finding/{finding.id}").status_code == 200
    capture = get(f"/finding/{finding.id}/evidence.pcapng")
    assert capture.content.startswith(b"\x0a\x0d\x0d\x0a")
    assert capture.headers["content-disposition"] == f'attachment; filename="colibri-{finding.id}.pcapng"'
    assert msgspec.json.decode(get(f"/api/finding/{finding.id}").content, type=Finding) == finding


def test_the_json_is_the_finding_byte_for_byte(desk: Desk, probes: Probes, get: Get) -> None:
    finding = probes().finding(signed=False)
    payload = msgspec.json.format(msgspec.json.encode(finding), indent=3)
    desk.give((feed.finding("p-one", "dns_injection"), payload))
    assert get(f"/api/finding/{finding.id}").content == payload


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/state", "/nowhere", "/static/monitor.css", "/finding/x"])
def test_every_answer_carries_the_security_headers(get: Get, path: str) -> None:
    answer = get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/en/nowhere", "/en/cell/0", "/fr/finding/0", "/finding/0/evidence.pcapng", "/static/../app.py",
     "/static/none.js", "/ar/incident/0", "/ar/target/0", "/de/"],
)
def test_what_is_not_there_is_a_404_in_words(get: Get, path: str) -> None:
    answer = get(path)
    assert answer.status_code == 404
    assert "<h1>" in answer.text


@pytest.mark.parametrize(
    ("path", "liked", "location"),
    [
        ("/", "", "/en/"),
        ("/", "ar-MA,fr;q=0.5", "/ar/"),
        ("/", "fr", "/fr/"),
        ("/cell/0?x=1&y=%2F", "fr", "/fr/cell/0?x=1&y=%2F"),
        ("/incidents.atom", "ar", "/ar/incidents.atom"),
        ("/finding/%0d%0aX-Evil:1", "fr", "/fr/finding/%0D%0AX-Evil%3A1"),
    ],
)
def test_an_address_without_a_language_leads_to_the_one_that_is_liked(
    get: Get, path: str, liked: str, location: str
) -> None:
    answer = get(path, **{"accept-language": liked})
    assert (answer.status_code, answer.headers["location"]) == (302, location)
    assert answer.headers["vary"] == "Accept-Language"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("path", "words"), [("/fr/x", "Il n’y a rien"), ("/ar/cell/0", "لم يُقَس شيء"), ("/x", "rien")])
def test_what_goes_wrong_is_said_in_the_language_of_the_address_or_the_browser(get: Get, path: str, words: str) -> None:
    answer = get(path, **{"accept-language": "fr"})
    assert answer.status_code == 404
    assert words in answer.text


def test_one_page_in_three_languages(desk: Desk, probes: Probes, get: Get) -> None:
    desk.give(probes().finding("interfered"))
    key = desk.reader.cells()[0].key
    for code, direction in (("fr", "ltr"), ("ar", "rtl"), ("en", "ltr")):
        for path in ("/", f"/cell/{key}", "/incidents"):
            page = get(f"/{code}{path}").text
            assert f'<html lang="{code}" dir="{direction}">' in page
            for other in ("fr", "ar", "en"):
                assert f'hreflang="{other}" href="/{other}{path}"' in page
            inside = re.findall(r'href="(/[^"]*)"', page)
            links = [link for link in inside if not link.startswith(("/static/", "/api/", "/healthz", "/finding/"))]
            strayed = [link for link in links if not re.match(r"/(fr|ar|en)/", link)]
            assert strayed == [], "every link keeps to a language"


def test_a_crowd_that_reloads_the_page_costs_one_rendering_until_something_changes(
    desk: Desk, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []
    real = Pages.monitor

    def counted(pages: Pages, *values: Any) -> str:
        rendered.append(real(pages, *values))
        return rendered[-1]

    monkeypatch.setattr(Pages, "monitor", counted)
    now = [NOON]
    probe = probes()
    desk.give(probe.finding())

    async def main() -> None:
        transport = httpx.ASGITransport(make_app(Site(desk.reader, str, lambda: now[0])))
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
            first = await client.get("/en/")
            assert (await client.get("/en/")).text == first.text
            assert len(rendered) == 1
            assert 'lang="fr"' in (await client.get("/fr/")).text
            desk.give(probe.finding("interfered", NOON + 1), received_at=NOON + 1)
            assert "Interference on 1 of 1 operator now" in (await client.get("/en/")).text
            now[0] += FRESH
            assert "Interference on" in (await client.get("/en/")).text
            assert len(rendered) == 4

    asyncio.run(main())


def test_a_404_of_the_api_is_json(get: Get) -> None:
    answer = get("/api/finding/'; DROP TABLE findings; --")
    assert answer.status_code == 404
    assert json(answer) == {"error": "No finding has this number."}


def test_nobody_can_write(get: Get) -> None:
    assert get("/", "POST").status_code == 405
    assert get("/api/state", "DELETE").status_code == 405


def test_the_state_as_json(desk: Desk, probes: Probes, get: Get) -> None:
    desk.give(probes().finding("interfered"))
    state = json(get("/api/state"))
    assert state["schema"] == "colibri.monitor/1"
    (cell,) = state["cells"]
    assert cell["since"] == "2026-03-01T12:00:00.000Z"
    assert (cell["verdict"], cell["interference"]["technique"]) == ("interfered", "dns_injection")
    assert state["change"] == cell["change"]


def test_findings_as_json_newest_first_and_limited(desk: Desk, probes: Probes, get: Get) -> None:
    probe = probes()
    desk.give(*(probe.finding(at=NOON + n) for n in (5, 1, 3)))
    listed = json(get("/api/findings"))["findings"]
    assert [row["at"][-4:] for row in listed] == ["005Z", "003Z", "001Z"]
    assert json(get("/api/findings?limit=1"))["findings"] == listed[:1]
    assert json(get(f"/api/findings?cell={listed[0]['cell']}"))["findings"] == listed
    assert json(get("/api/findings?cell=0"))["findings"] == []


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "", "9" * 30, "²", "1.5"])
def test_a_limit_that_is_none(get: Get, limit: str) -> None:
    answer = get(f"/api/findings?limit={limit}")
    assert answer.status_code == 400
    assert "expected a number from 1 to 1000" in json(answer)["error"]


def test_health_counts_everything(desk: Desk, probes: Probes, get: Get) -> None:
    finding = probes().finding()
    desk.give(finding, finding, (feed.finding("p-one", "voip"), b"{"), ("elsewhere", b""))
    health = json(get("/healthz"))
    assert health["status"] == "ok"
    assert health["counters"] == {"received": 4, "stored": 1, "duplicate": 1}
    assert health["rejected"] == {"bad_json": 1, "unknown_topic": 1}


def test_health_names_the_trouble(get: Get, trouble: list[str]) -> None:
    trouble.append("broker 127.0.0.1: refused")
    answer = get("/healthz")
    assert answer.status_code == 503
    assert json(answer)["trouble"] == "broker 127.0.0.1: refused"
    assert get("/en/").status_code == 200, "the page stays"


def test_a_store_that_fails_is_a_503_in_words(desk: Desk, get: Get) -> None:
    with closing(sqlite3.connect(desk.path)) as saboteur:
        saboteur.execute("ALTER TABLE cells RENAME TO gone")
    answer = get("/en/")
    assert answer.status_code == 503
    assert "the store can&#39;t be read" in answer.text
    assert json(get("/api/state"))["error"].startswith("the store can't be read")


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?after="])
def test_a_place_to_resume_from_that_is_none(get: Get, query: str) -> None:
    assert get(f"/en/events{query}").status_code == 400


def test_routes_beside_the_site_s_own_are_served_alike(desk: Desk) -> None:
    async def main() -> list[httpx.Response]:
        site = Site(desk.reader, lambda: "", lambda: NOON)
        app = make_app(site, Rest(desk.reader, lambda: NOON).routes)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
            return [await client.get("/api/v1/findings"), await client.get("/api/v1/findings?limit=0")]

    page, refused = asyncio.run(main())
    assert json(page) == {"schema": "colibri.page.findings/1", "items": [], "next": None}
    assert refused.status_code == 400
    assert json(refused) == {"error": "limit: '0' is not a number from 1 to 1000"}
    for name, value in HEADERS.items():
        assert page.headers[name] == refused.headers[name] == value


def test_a_refusal_says_when_to_come_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "TABLES", 0)

    async def main() -> httpx.Response:
        app = make_app(Site(desk.reader, lambda: "", lambda: NOON), Rest(desk.reader, lambda: NOON).routes)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
            return await client.get("/api/v1/states?format=csv")

    answer = asyncio.run(main())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert json(answer) == {"error": "Too many tables are being written; try again later."}
