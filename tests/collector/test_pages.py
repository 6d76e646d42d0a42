"""Pages: whatever a probe writes comes out as text."""

from __future__ import annotations

import gettext
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector import case_views, incident_views, instants, timelines, words
from probe.collector.case_words import Names
from probe.collector.casebook import Told
from probe.collector.counters import views as counter_views
from probe.collector.counters.ledger import Reading
from probe.collector.counters.suspicion import Flag
from probe.collector.heartbeats import Silence
from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Member, case
from probe.collector.incidents.model import HOUR, Bounds, Exemption, Incident, Series
from probe.collector.languages.language import CODES, NAMES, Code, Language, load
from probe.collector.pages import Pages, breakable
from probe.collector.store import IncidentRow
from probe.model.config import CounterConfig
from probe.model.finding import Finding, Hop, Interference, Line, Location, Target
from tests.collector.test_case_views import SENTENCES

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]
EN = load("en")
NASTY = "<script>alert('x')</script><img src=//evil.example onerror=alert(1)>\" onmouseover=\"x\u202e"
CASES = {
    "monitor with cases", "cases", "no cases", "case", "case alone", "incident of a case",
    "incidents", "no incidents", "incident", "incident over", "target", "target unmeasured",
}  # fmt: skip
VOID = {"meta", "link", "img", "wbr", "path", "circle", "rect", "br"}


class Tags(HTMLParser):
    """Checks that tags nest, and keeps names, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


@pytest.fixture
def nasty(probes: Probes) -> Finding:
    """A finding with a script wherever a probe can write text."""
    return probes("p-one", Line(NASTY[:60], 0, "", "mobile")).finding(
        "interfered",
        target=Target(NASTY, NASTY[:200], NASTY[:200], 80, NASTY[:200]),
        interference=Interference(
            "tcp_reset", "in_path", Location(1, 2, Hop(NASTY[:200], 1), Hop("", 0), attribution=NASTY)
        ),
        reasons=[NASTY, "A resolver answered " + NASTY],
        rule=NASTY[:200],
        version=NASTY[:200],
        details={NASTY: [NASTY]},
        measurement="voip",
    )


def all_pages(desk: Desk, finding: Finding, language: Language = EN) -> dict[str, str]:
    pages, reader = Pages(language), desk.reader
    cell = next(cell for cell in reader.cells() if cell.finding_id == finding.id)
    stored = reader.finding(finding.id)
    assert stored is not None
    return {
        "monitor": pages.monitor([cell], reader.probes(), reader.counters(), NOON),
        "cell": pages.cell(cell, finding, reader.findings(10), NOON),
        "finding": pages.finding(stored, finding),
        **cases(pages),
        "error": pages.error(404, "There is nothing at this address.", NASTY),
    }


def cases(pages: Pages) -> dict[str, str]:
    """The pages of what has a history, with something of everything that they can say."""
    language = pages.language
    series = Series("MA", "AS64501", "fixed", "dns_injection", "news.example", "dns_injection")
    lasting = Incident(
        series=series, state="open", began=Bounds(NOON - HOUR, NOON), ended=None, homes=3, heard=4, dissent=("p-0",),
        share=0.9, hours=((1, 4), *((0, 0),) * 23), intermittent=True,
        exemptions=(Exemption(2, NOON, NOON + HOUR, ("p-1",)), Exemption(1, NOON, 0, ("p-2",))),
        silent=((NOON + HOUR, NOON + 9 * HOUR),), sure=0.3,
    )  # fmt: skip
    over = msgspec.structs.replace(
        lasting, state="closed", began=Bounds(0, NOON), ended=Bounds(NOON + HOUR, 0), dissent=(), exemptions=(),
        silent=(),
    )  # fmt: skip
    rows = [IncidentRow(f"{n:016x}", n, one, "Atlas", "press") for n, one in enumerate((lasting, over))]
    proofs = [Silence(NOON + HOUR, NOON + 9 * HOUR, idle=1, cut_off=2, dead=5)]
    shown = [incident_views.view(row, "news.example", NOON, language, proofs) for row in rows]
    names = Names({"AS64501": "Atlas", "AS64502": "Rif"}, {"news.example": "news.example"})
    some = [case_views.view(of, names, NOON, language) for of in (rows, rows[1:])]
    traits = tuple(trait for trait, _ in SENTENCES)
    readings = [Reading(NOON - 5 * HOUR, 90), Reading(NOON, 100)]
    flag = Flag("wave", NOON - HOUR, NOON, 10, 1.0, 1.0, 0.0, 5.0)
    config = CounterConfig(name="fans", url="https://x.example/")
    counter = counter_views.view(config, readings, [flag], False, language)
    one = case([Member(row.id, row.group, row.incident) for row in rows], ())
    told = Told(msgspec.structs.replace(one, traits=traits), tuple(rows), ("AS64501", "AS64502"))
    place = incident_views.Place(words.place(Location(4, 5, Hop("198.18.4.1")), language), 3)
    other = incident_views.Other("Rif", words.access("mobile", language), 0, 9, 1)
    start = timelines.bounds(7, NOON)[0]
    slots = [
        HistoryRow(country="MA", operator="AS1", named="Atlas", access="fixed", measurement="voip",
                   target="sip:news.example", start=start + n * 2 * HOUR, what=what, n=2, probes=1)
        for n, what in enumerate(("clean", "down", "inconclusive", "voip_stun"))
    ]  # fmt: skip
    line = timelines.timeline("news.example", slots, 7, NOON, language)
    return {
        "monitor with cases": pages.monitor([], [], {}, NOON, some, [counter]),
        "cases": pages.cases(some), "no cases": pages.cases([]),
        "case": pages.case(some[0], told, names, [place], shown, "https://monitor.example"),
        "case alone": pages.case(some[1], Told(told.case, (rows[1],), ()), names, [], shown, "https://monitor.example"),
        "incident of a case": pages.incident(shown[0], [place], [other], "https://monitor.example", some[0]),
        "incidents": pages.incidents(shown), "no incidents": pages.incidents([]),
        "incident": pages.incident(shown[0], [place], [other], "https://monitor.example"),
        "incident over": pages.incident(shown[1], [], [], "https://monitor.example"),
        "target": pages.target("news.example", line, 7, shown),
        "target unmeasured": pages.target("news.example", timelines.timeline("x", [], 1, NOON, language), 1, []),
    }  # fmt: skip


class Foreign(gettext.NullTranslations):
    """A language in which every message is put between brackets, so that what is not translated stands outside."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002 - one form for all
        return f"⟦{msgid2}⟧"


def untranslated(page: str) -> list[str]:
    """Words of a page, or of an attribute that people hear or see, that are no message, name or value."""
    for value in ("bdi", "code", "style", "svg"):
        page = re.sub(rf"<{value}[ >].*?</{value}>", " ", page, flags=re.DOTALL)
    shown = re.findall(r' (?:alt|aria-label|title|content|placeholder|data-(?:live|again|title))="([^"]*)"', page)
    text = "\n".join([*shown, re.sub(r"<[^>]*>", "\n", page)])
    while (less := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
        text = less
    known = {"Colibri", *NAMES.values(), "width=device-width, initial-scale=1", "light dark", "pcapng"}
    lines = [part.strip(" ·.,:") for line in html.unescape(text).splitlines() for part in line.split("–")]
    return [line for line in lines if re.search(r"[^\W\d_]", line) and line not in known]


def test_nothing_but_messages_names_and_values_is_on_a_page(desk: Desk, probes: Probes) -> None:
    probe = probes()
    finding = probe.finding("interfered")
    desk.give(finding, probe.finding("inconclusive", target=Target("x.example"), clock="unsynchronised"))
    foreign = Language("en", Foreign())
    for name, page in all_pages(desk, finding, foreign).items():
        assert untranslated(page.replace("news.example", "")) == [], name
    for line in Pages(foreign).update(desk.reader.cells(), 0, NOON).after(0).splitlines():
        if line.startswith("data: "):
            assert untranslated(json.loads(line[6:])["html"].replace("news.example", "")) == []


def test_the_check_for_untranslated_words_finds_them() -> None:
    assert untranslated('<p aria-label="⟦Yes⟧">⟦Good⟧ <bdi>x</bdi> bad</p>') == ["bad"]
    assert untranslated('<p aria-label="Worse">⟦a ⟦b⟧ c⟧</p>') == ["Worse"]


@pytest.mark.parametrize("code", CODES)
def test_every_page_stands_in_every_language(desk: Desk, probes: Probes, code: Code) -> None:
    finding = probes().finding("interfered")
    desk.give(finding)
    for name, page in all_pages(desk, finding, load(code)).items():
        tags = parsed(page)
        assert ("html", {"lang": code, "dir": load(code).direction}) in tags.tags, name
        assert f'href="/{code}/"' in page


def test_reasons_are_marked_as_english(desk: Desk, probes: Probes) -> None:
    finding = probes().finding("interfered")
    desk.give(finding)
    page = all_pages(desk, finding, load("ar"))["finding"]
    assert '<ul class="reasons" lang="en" dir="ltr"><li><bdi>An address that runs no resolver' in page
    assert '<span class="note" lang="en" dir="ltr"><bdi>on the link entering AS64502</bdi>' in page


def test_scripts_in_every_field_come_out_as_text(desk: Desk, nasty: Finding) -> None:
    assert desk.give(nasty)[0].kind == "stored"
    for name, page in all_pages(desk, nasty).items():
        tags = parsed(page)
        if name in CASES:
            continue  # made of other values; with nasty ones in test_case_site.py
        for tag, attributes in tags.tags:
            assert tag != "script" or (attributes.get("src") or "").startswith("/static/"), name
            assert not [a for a in attributes if a.startswith("on") or a == "style"], (name, tag)
            for link in (attributes.get("href"), attributes.get("src")):
                assert link is None or re.match(r"^(/(?!/)|#)", link), (name, link)
        assert "<script>alert('x')</script>" in tags.text, f"{name}: shown, not dropped"


def test_scripts_in_live_updates_come_out_as_text(desk: Desk, nasty: Finding) -> None:
    desk.give(nasty)
    update = Pages(EN).update(desk.reader.cells(), 0, NOON)
    data = [line[6:] for line in update.after(0).splitlines() if line.startswith("data: ")]
    assert len(data) == 2
    for line in data:
        fragment = json.loads(line)["html"]
        assert "<script" not in fragment
        assert "<img" not in fragment


def test_names_and_addresses_are_isolated(desk: Desk, nasty: Finding) -> None:
    desk.give(nasty)
    for name, page in all_pages(desk, nasty).items():
        if name not in CASES:
            for start in re.finditer("\u202e", page.split("</title>")[1]):
                before = page.split("</title>")[1][: start.start()]
                assert before.rfind("<bdi>") > before.rfind("</bdi>"), (name, before[-80:])


def test_the_monitor_says_what_is_found_in_words_and_shape(desk: Desk, probes: Probes) -> None:
    desk.give(probes().finding("interfered"), probes("p-two", Line("Rif", 64502, "MA", "mobile")).finding())
    page = Pages(EN).monitor(desk.reader.cells(), desk.reader.probes(), desk.reader.counters(), NOON)
    text = " ".join(parsed(page).text.split())
    assert "Interference on 1 of 2 operators now" in text
    assert "Interference in 1 of 1 test. Forged DNS answers: news.example." in text
    assert "on the link between hop 4 (198.18.4.1) and hop 5 (198.18.5.1)" in text
    assert page.count('<svg class="shape"') == 2 + 4, "one for each cell, and the legend"
    assert 'scope="rowgroup"' in page
    assert page.count('scope="col"') == 4


def test_what_decided_nothing_is_not_passed_over(desk: Desk, probes: Probes) -> None:
    probe = probes()
    unsure = [probe.finding("inconclusive", target=Target(f"{name}.example")) for name in "ab"]
    desk.give(*unsure)
    page = Pages(EN).monitor(desk.reader.cells(), desk.reader.probes(), desk.reader.counters(), NOON)
    assert "No interference found in 2 tests. 2 were not conclusive." in " ".join(parsed(page).text.split())
    assert '<li class="v-inconclusive">' in page, "not green"


def test_an_empty_store_has_a_page_too() -> None:
    page = Pages(EN).monitor([], [], {}, NOON)
    assert "No measurement in the last 24 hours" in page
    assert "<table" not in page
    parsed(page)


def test_a_finding_page_shows_proof_and_path(desk: Desk, probes: Probes) -> None:
    finding = probes().finding("interfered", details={"answers": ["198.18.9.9"]})
    desk.give(finding)
    text = html.unescape(" ".join(parsed(all_pages(desk, finding)["finding"]).text.split()))
    assert finding.signature is not None
    for expected in (finding.id, finding.evidence.pcapng_sha256, finding.signature.key, "198.18.4.1", "198.18.9.9"):
        assert expected in text
    assert "Interference acts on this link" in text
    assert "confidence 97%" in text


def test_an_undated_finding_names_no_date_and_no_cell(desk: Desk, probes: Probes) -> None:
    finding = probes().finding(clock="unsynchronised", started_at="1970-01-01T00:00:01.000Z")
    desk.give(finding)
    stored = desk.reader.finding(finding.id)
    assert stored is not None
    page = Pages(EN).finding(stored, finding)
    assert "undated: the probe's clock was not set" in html.unescape(page)
    assert "/cell/" not in page
    assert "1970" not in page


def test_updates_hold_only_what_changed(desk: Desk, probes: Probes) -> None:
    probe = probes()
    desk.give(probe.finding())
    seen = desk.reader.cells()[0].change
    assert Pages(EN).update(desk.reader.cells(), seen, NOON).events == []
    desk.give(probe.finding(target=Target("new.example")))
    update = Pages(EN).update(desk.reader.cells(), seen, NOON)
    assert [text.split("\n")[1] for _, text in update.events] == ["event: cell", "event: summary"]
    assert update.change == seen + 1


def test_a_viewer_from_the_future_is_told_to_reload(desk: Desk, probes: Probes) -> None:
    desk.give(probes().finding())
    update = Pages(EN).update(desk.reader.cells(), 10_000, NOON)
    assert "event: reload" in update.after(0)
    assert update.change == desk.reader.cells()[0].change


def test_long_names_break_at_dots_and_slashes() -> None:
    assert breakable("http://a.b/<i>") == "http://<wbr>a.<wbr>b/<wbr>&lt;i&gt;"


def test_details_are_shown_whole(desk: Desk, probes: Probes) -> None:
    finding = probes().finding(details={"deep": {"er": [1, {"n": None}]}})
    desk.give(finding)
    page = all_pages(desk, finding)["finding"]
    shown = html.unescape(re.search(r"<pre[^>]*><bdi>(.*?)</bdi></pre>", page, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert msgspec.json.decode(shown) == finding.details
