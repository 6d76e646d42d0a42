"""The counters' page and JSON over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest
from starlette.routing import Route

from probe.collector.app import HEADERS, Site, make_app
from probe.collector.counters.ledger import Ledger, Page, Reading
from probe.collector.counters.numbers import Count
from probe.collector.counters.site import CounterSite, spaced
from probe.collector.counters.suspicion import Flag
from probe.collector.counters.watch import source
from probe.collector.languages.language import CODES, load
from probe.collector.pages import Pages
from probe.collector.rest_types import CounterHistory, CounterPage
from probe.model.config import CounterConfig

if TYPE_CHECKING:
    from tests.collector.conftest import Desk

NOON = 1_772_366_400_000
MINUTE = 60_000
CONFIG = CounterConfig(name="fans", url="https://social.example/page", json="/a", label="<script>Fans</script>")
Get = Callable[[str], httpx.Response]


@pytest.fixture
def ledger(desk: Desk) -> Iterator[Ledger]:
    with closing(Ledger(desk.path)) as ledger:
        yield ledger


@pytest.fixture
def get(desk: Desk, ledger: Ledger) -> Get:
    pages = {code: Pages(load(code), counting=True) for code in CODES}
    counters = CounterSite([CONFIG], ledger, pages, lambda: NOON)

    def fetch(path: str) -> httpx.Response:
        async def main() -> httpx.Response:
            site = Site(desk.reader, str, lambda: NOON, counting=True)
            site.counted = counters.shown
            app = make_app(site, [*counters.routes, Route("/counters", site.choose)])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
                return await client.get(path)

        return asyncio.run(main())

    return fetch


class Nesting(HTMLParser):
    """Fails where a tag closes what is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag not in {"meta", "link", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def fill(ledger: Ledger, jump: int = 0) -> None:
    """Four days of a page that people come to unevenly; ``jump``: at once, six hours ago."""
    value = 100_000
    for i in range(4 * 96):
        value += (7 * i) % 5 + (jump if i == 4 * 96 - 24 else 0)
        at = NOON - (4 * 96 - 1 - i) * 15 * MINUTE
        ledger.put("fans", source(CONFIG), Page(), at, Count(value))


@pytest.mark.parametrize(
    ("code", "title"), [("en", "Public counters"), ("fr", "Compteurs publics"), ("ar", "عدّادات عامّة")]
)
def test_the_page_in_each_language(get: Get, ledger: Ledger, code: str, title: str) -> None:
    fill(ledger, jump=5000)
    answer = get(f"/{code}/counters")
    assert answer.status_code == 200
    assert f'<h1 id="headline">{title}</h1>' in answer.text
    assert '<polyline points="' in answer.text
    assert "<table" in answer.text, "behind the curve"
    assert 'class="reasons"' in answer.text
    assert "<script>Fans" not in answer.text
    assert "&lt;script&gt;Fans" in answer.text
    assert 'aria-current="page"' in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert " style=" not in answer.text
    assert Nesting(answer.text).open == []


def test_before_anything_was_read_and_while_nothing_can_be(get: Get, ledger: Ledger) -> None:
    assert "It has not been read so far." in get("/en/counters").text
    ledger.put("fans", source(CONFIG), Page(failures=1, trouble="10.0.0.1 is not a public address"), NOON)
    page = get("/en/counters").text
    assert "can&#39;t be read at the moment" in page
    assert "10.0.0.1" not in page, "why is for the journal"


def test_without_a_language_it_leads_to_one(get: Get) -> None:
    answer = get("/counters")
    assert (answer.status_code // 100, answer.headers["location"]) == (3, "/en/counters")


def test_the_json(get: Get, ledger: Ledger) -> None:
    fill(ledger, jump=5000)
    body = get("/api/counters").json()
    assert body["schema"] == "colibri.counters/1"
    (one,) = body["counters"]
    assert one["name"] == "fans"
    assert one["change"]["whole"] is True
    assert [flag["kind"] for flag in one["flags"]] == ["wave"]
    single = get("/api/counters/fans").json()
    assert single["readings"][-1] == {"at": "2026-03-01T12:00:00.000Z", "value": one["value"], "step": 1}
    assert len(single["readings"]) == 4 * 96
    assert {name: single[name] for name in one} == one


def test_a_counter_that_there_is_not(get: Get) -> None:
    answer = get("/api/counters/none")
    assert (answer.status_code, answer.json()) == (404, {"error": "No counter has this name."})


def test_what_was_judged_is_not_judged_again_until_something_is_read(
    get: Get, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []

    def count(readings: list[Reading], since: int) -> list[Flag]:
        judged.append(len(readings))
        return []

    monkeypatch.setattr("probe.collector.counters.site.flags", count)
    fill(ledger)
    get("/api/counters")
    get("/en/counters")
    assert len(judged) == 1
    ledger.put("fans", source(CONFIG), Page(), NOON + 1, Count(5))
    get("/api/counters")
    assert len(judged) == 2


def test_readings_are_spaced() -> None:
    readings = [Reading(at, 0) for at in (0, 5, 10, 19, 20, 45)]
    assert [reading.at for reading in spaced(readings, 10)] == [0, 10, 20, 45]
    assert spaced([], 10) == []


def test_what_is_answered_is_what_the_schema_says(get: Get, ledger: Ledger) -> None:
    for jump in (0, 5000):
        whole, one = get("/api/counters").json(), get("/api/counters/fans").json()
        assert msgspec.to_builtins(msgspec.convert(whole, CounterPage)) == whole
        assert msgspec.to_builtins(msgspec.convert(one, CounterHistory)) == one
        fill(ledger, jump)
    assert one["readings"]
    assert one["change"]


def test_they_stand_beside_the_operators_on_the_live_page(get: Get, ledger: Ledger) -> None:
    before = get("/en/").text
    assert "It has not been read so far." in before
    fill(ledger, jump=5000)
    page = get("/en/").text
    Nesting(page)
    assert "&lt;script&gt;Fans&lt;/script&gt;" in page
    assert "Change in 72 hours" in page
    assert 'href="/en/counters"' in page
    assert "Changes that people alone do not make" in page
