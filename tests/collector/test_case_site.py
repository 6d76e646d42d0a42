"""Incidents, their feed and histories over ASGI, from findings in a real store."""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from probe.collector import case_site, casebook, instants
from probe.collector.app import Site, make_app
from probe.collector.incidents.model import HOUR
from probe.collector.instants import DAY
from probe.collector.languages.language import CODES
from probe.collector.store import IncidentRow, Reader
from probe.model.finding import Line, Target

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
NOW = NOON + 3 * DAY
RIF = Line("Rif Mobile", 64502, "MA", "mobile")
NEWS = Target("news.example", "news.example", "", 53, "press")
NASTY = "<script>\u202e\x00\x0bsite & co</script>"
ATOM = "{http://www.w3.org/2005/Atom}"

Probes = Callable[..., "FakeProbe"]
Get = Callable[[str], httpx.Response]


@pytest.fixture
def get(desk: Desk) -> Get:
    def fetch(path: str) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(make_app(Site(desk.reader, str, lambda: NOW)))
            async with httpx.AsyncClient(transport=transport, base_url="https://monitor.example") as client:
                return await client.get(path)

        return asyncio.run(main())

    return fetch


@pytest.fixture
def cut(desk: Desk, probes: Probes) -> Callable[..., None]:
    """Two days in which it works, then one in which three homes on Atlas see forged answers and one does not; on Rif it
    works all the time."""

    homes = [probes(f"p-{n}") for n in range(4)]
    there = probes("p-rif", RIF)

    def happen(target: Target = NEWS, mend: bool = False) -> None:
        for hour in range(0, 96 if mend else 72, 4):
            bad = 48 <= hour < 72
            at = NOON - 24 * HOUR + hour * HOUR
            desk.give(
                *(home.finding("interfered" if bad and n else "clean", at + n, target=target)
                  for n, home in enumerate(homes)),
                there.finding("clean", at, target=target), received_at=at + 1000,
            )  # fmt: skip

    return happen


def only(desk: Desk) -> str:
    (row,) = desk.reader.incidents(10)
    return row.id


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.split("</header>", 1)[1]).split())


def test_an_incident_from_findings_to_its_page(desk: Desk, cut: Callable[..., None], get: Get) -> None:
    cut()
    assert f'href="/en/case/{only(desk)}"' in get("/en/").text, "the live page leads to it"
    assert f'href="/en/incident/{only(desk)}"' in get(f"/en/case/{only(desk)}").text
    listed = get("/en/incidents")
    assert listed.status_code == 200
    assert f'href="/en/incident/{only(desk)}"' in listed.text
    assert "1 goes on." in text(listed.text)
    page = get(f"/en/incident/{only(desk)}")
    said = text(page.text)
    for expected in (
        "Forged DNS answers: news.example on Atlas Telecom",
        "Going on",
        "between 2 Mar 2026, 08:00 UTC , when it last worked, and 2 Mar 2026, 12:00 UTC , when it first did not",
        "3 of 4 independent homes that measured it on this operator saw it.",
        "on the link between hop 4 ( 198.18.4.1 ) and hop 5 ( 198.18.5.1 ) (3 probes)",
        "1 probe measured it and never saw it: p-0 .",
        "Rif Mobile mobile in 0 of",
        f"https://monitor.example/en/incident/{only(desk)}",
    ):
        assert expected in said, said
    assert re.search(r"Since when between [^,]*, [\d:]* UTC , when it last worked", said)


@pytest.fixture
def company(cut: Callable[..., None]) -> None:
    """Two names of one company are cut, a third target works."""
    for name in ("a.press.example", "b.press.example"):
        cut(Target(name, name, "", 53, "press"))


@pytest.mark.usefixtures("company")
def test_a_case_from_findings_to_its_page(desk: Desk, get: Get, probes: Probes) -> None:
    other = Target("shop.example", "shop.example", "", 53, "shops")
    for n in range(3):
        home = probes(f"p-more-{n}")
        desk.give(*(home.finding("clean", NOON + hour * HOUR, target=other) for hour in range(24, 48, 8)))
    first, second = sorted((row.incident.began.until, row.id) for row in desk.reader.incidents(10))
    listed = get("/en/cases")
    assert f'href="/en/case/{first[1]}"' in listed.text
    assert "1 goes on." in text(listed.text)
    assert "Forged DNS answers: Press (2 targets) on Atlas Telecom" in text(listed.text)
    page = get(f"/en/case/{first[1]}")
    said = text(page.text)
    for expected in (
        "Forged DNS answers: Press (2 targets) on Atlas Telecom",
        "Going on",
        "between 2 Mar 2026, 08:00 UTC , when it last worked, and 2 Mar 2026, 12:00 UTC , when it first did not",
        "3 of 4 independent homes that measured it saw it.",
        "It was seen on 1 of 2 operators of the country that were measured.",
        "On Atlas Telecom it is found with 2 of 2 addresses or names of this group.",
        "1 target of others works there meanwhile.",
        "It works on other operators of the country that measured it: Rif Mobile .",
        "on the link between hop 4 ( 198.18.4.1 ) and hop 5 ( 198.18.5.1 ) (3 probes)",
        "1 disagrees",
        f"https://monitor.example/en/case/{first[1]}",
    ):
        assert expected in said, (expected, said)
    for one in (first, second):
        assert f'href="/en/incident/{one[1]}"' in page.text
        assert f'href="/en/case/{first[1]}"' in get(f"/en/incident/{one[1]}").text, "and back"
    moved = get(f"/fr/case/{second[1]}")
    assert (moved.status_code, moved.headers["location"]) == (302, f"/fr/case/{first[1]}")


@pytest.mark.usefixtures("company")
def test_everybody_is_compared_once_a_minute_however_many_ask(
    desk: Desk, cut: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    real, now = casebook.told, [NOW]

    def counted(reader: Reader, rows: Sequence[IncidentRow], at: int) -> casebook.Told:
        compared.append(at)
        return real(reader, rows, at)

    monkeypatch.setattr(case_site, "told", counted)

    async def main() -> None:
        transport = httpx.ASGITransport(make_app(Site(desk.reader, str, lambda: now[0])))
        async with httpx.AsyncClient(transport=transport, base_url="https://monitor.example") as client:
            first = min((row.incident.began.until, row.id) for row in desk.reader.incidents(10))[1]
            for code in (*CODES, *CODES):
                assert (await client.get(f"/{code}/case/{first}")).status_code == 200
            assert len(compared) == 1
            cut(Target("c.press.example", "c.press.example", "", 53, "press"))
            assert "3 targets" in text((await client.get(f"/en/case/{first}")).text), "a new incident is seen at once"
            assert len(compared) == 2
            now[0] += instants.MINUTE
            await client.get(f"/en/case/{first}")
            assert len(compared) == 3

    asyncio.run(main())


@pytest.mark.usefixtures("company")
def test_the_feed_of_cases(desk: Desk, get: Get) -> None:
    feed = ET.fromstring(get("/fr/cases.atom").content)  # noqa: S314 - our own
    (entry,) = feed.findall(f"{ATOM}entry")
    link = entry.find(f"{ATOM}link")
    assert link is not None
    assert re.fullmatch(r"https://monitor.example/fr/case/[0-9a-f]{16}", link.get("href") or "")
    assert entry.findtext(f"{ATOM}updated") == "2026-03-02T12:00:00.001Z"
    assert (entry.findtext(f"{ATOM}title") or "").startswith("En cours · Réponses DNS forgées")
    assert feed.findtext(f"{ATOM}id") != ET.fromstring(get("/fr/incidents.atom").content).findtext(f"{ATOM}id")  # noqa: S314


def test_a_case_that_is_over_is_listed_and_no_longer_on_the_live_page(
    desk: Desk, cut: Callable[..., None], get: Get
) -> None:
    cut(mend=True)
    assert f'href="/ar/case/{only(desk)}"' in get("/ar/cases").text
    assert "/case/" not in get("/ar/").text
    assert "It is part of a case" not in get(f"/en/incident/{only(desk)}").text, "there is nothing else in it"


@pytest.mark.parametrize("code", CODES)
def test_the_feed_is_atom(desk: Desk, cut: Callable[..., None], get: Get, code: str) -> None:
    cut(mend=True)
    answer = get(f"/{code}/incidents.atom")
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = ET.fromstring(answer.content)  # noqa: S314 - our own
    # RFC 4287, 4.1.1 and 4.1.2: what a feed and an entry must have, once.
    for element, needed in (
        (feed, ("id", "title", "updated", "author")),
        (feed.find(f"{ATOM}entry"), ("id", "title", "updated", "published", "summary")),
    ):
        assert element is not None
        for name in needed:
            (found,) = element.findall(f"{ATOM}{name}")
            assert "".join(found.itertext()).strip(), name
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == code
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {
        "self": f"https://monitor.example/{code}/incidents.atom", "alternate": f"https://monitor.example/{code}/incidents",
    }  # fmt: skip
    assert f'href="/{code}/incident/' not in get(f"/{code}/").text, "it is over"
    (entry,) = feed.findall(f"{ATOM}entry")
    link = entry.find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == f"https://monitor.example/{code}/incident/{only(desk)}"
    incident = desk.reader.incidents(1)[0].incident
    assert incident.ended is not None
    assert entry.findtext(f"{ATOM}updated") == instants.to_text(incident.ended.until)
    assert feed.findtext(f"{ATOM}updated") == entry.findtext(f"{ATOM}updated")
    ids = [feed.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}id")]
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", one or "") for one in ids)
    assert len(set(ids)) == 2
    assert get(f"/{code}/incidents.atom").content == answer.content


def test_the_feed_of_nothing_is_atom_too(get: Get) -> None:
    feed = ET.fromstring(get("/fr/incidents.atom").content)  # noqa: S314 - our own
    assert feed.findtext(f"{ATOM}updated") == "1970-01-01T00:00:00.000Z"
    assert feed.findall(f"{ATOM}entry") == []
    assert "Aucun n’a été constaté" in get("/fr/incidents").text


def test_what_a_probe_wrote_is_text_everywhere(desk: Desk, cut: Callable[..., None], get: Get) -> None:
    cut(Target(NASTY, NASTY, group="x"))
    key = re.findall(r"/target/([0-9a-f]{16})", get("/en/").text)[0]
    for path in ("/en/incidents", f"/ar/incident/{only(desk)}", f"/fr/target/{key}",
                 f"/ar/case/{only(desk)}", "/en/cases"):  # fmt: skip
        page = get(path)
        assert page.status_code == 200
        assert "<script>\u202e" not in page.text
        assert "&lt;script&gt;" in page.text
    entry = ET.fromstring(get("/en/incidents.atom").content).find(f"{ATOM}entry")  # noqa: S314 - our own
    assert entry is not None
    assert "<script>\u202e\ufffd\ufffdsite & co</script>" in (entry.findtext(f"{ATOM}title") or "")


def test_the_history_of_a_target(desk: Desk, cut: Callable[..., None], get: Get) -> None:
    cut()
    key = re.findall(r"/target/([0-9a-f]{16})", get("/en/").text)[0]
    page = get(f"/en/target/{key}")
    assert page.status_code == 200
    said = text(page.text)
    assert "from 25 Feb 2026, 12:00 UTC to 4 Mar 2026, 12:00 UTC" in said
    assert page.text.count('<svg class="timeline" ') == 2, "Atlas and Rif"
    assert 'class="t-interfered"' in page.text
    assert "Interference in" in said, "and the table behind it"
    assert f'href="/en/incident/{only(desk)}"' in page.text
    for days in (1, 30, 365):
        longer = get(f"/en/target/{key}?days={days}")
        assert longer.status_code == 200
        assert f'href="/ar/target/{key}?days={days}"' in longer.text, "another language keeps to the span"
    assert "Nobody measured it in this time." in get(f"/en/target/{key}?days=1").text
    for wrong in ("2", "", "x", "7 "):
        answer = get(f"/fr/target/{key}?days={wrong}")
        assert answer.status_code == 400
        assert "Un historique couvre" in answer.text


def test_permanent_addresses_are_those_of_the_public_monitor(desk: Desk, cut: Callable[..., None]) -> None:
    cut()

    async def main() -> httpx.Response:
        site = Site(desk.reader, str, lambda: NOW, "https://colibri.example/maghreb/")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(site)), base_url="http://inside") as client:
            return await client.get(f"/en/incident/{only(desk)}")

    assert f"https://colibri.example/maghreb/en/incident/{only(desk)}" in asyncio.run(main()).text


def test_what_is_not_there(get: Get) -> None:
    for path in ("/en/incident/0", "/en/target/0", "/en/case/0"):
        assert get(path).status_code == 404


def test_an_incident_that_only_a_cell_of_another_name_has_is_told_by_what_was_asked(
    desk: Desk, cut: Callable[..., None], get: Get
) -> None:
    cut(Target("https://news.example/", "news.example"))
    assert "news.example on Atlas Telecom" in text(get(f"/en/incident/{only(desk)}").text)
    assert msgspec.to_builtins(desk.reader.incidents(1)[0].incident.series)["target"] == "https://news.example/"
