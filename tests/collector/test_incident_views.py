"""Incidents in words: since when, until when, how many homes, where, how sure, who disagrees, silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from markupsafe import Markup

from probe.collector import incident_views, instants
from probe.collector.cells import cell_key
from probe.collector.heartbeats import Silence
from probe.collector.history import HistoryRow
from probe.collector.incidents.model import HOUR, Bounds, Exemption, Incident, Series
from probe.collector.languages.language import CODES, Code, load
from probe.collector.store import FindingRow, IncidentRow
from probe.model.finding import Hop, Interference, Line, Location, Target

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

DAY = instants.DAY
JULY = instants.from_text("2026-07-01T06:00:00.000Z")
NOW = JULY + 40 * DAY
EN = load("en")
SERIES = Series("DZ", "AS64502", "fixed", "blackhole", "203.0.113.10", "ip_blackhole")
LASTING = Incident(
    series=SERIES, state="open", began=Bounds(JULY - HOUR, JULY), ended=None, homes=11, heard=12, dissent=("p-liar",),
    share=0.98, hours=((1, 4), *((0, 0),) * 23), intermittent=False,
    exemptions=(Exemption(2, JULY + DAY, JULY + 7 * DAY, ("p-a", "p-b")), Exemption(1, JULY + DAY, 0, ("p-c",))),
    silent=((JULY + 8 * DAY, JULY + 9 * DAY),), sure=0.646,
)  # fmt: skip


def view(one: Incident = LASTING, code: Code = "en", target: str = "octenium.example") -> incident_views.IncidentView:
    return incident_views.view(IncidentRow("0123456789abcdef", 7, one, "Oran", "hosting"), target, NOW, load(code))


def plain(html: Markup) -> str:
    """Without tags."""
    return html.striptags()


def closed(**changes: Any) -> Incident:
    end = Bounds(JULY + 3 * DAY, JULY + 3 * DAY + HOUR)
    return msgspec.structs.replace(LASTING, state="closed", ended=end, **changes)


def test_one_that_goes_on() -> None:
    told = view()
    assert told.title == "Packets swallowed: octenium.example on Oran"
    assert (told.state, told.open, told.until) == ("Going on", True, None)
    assert plain(told.began) == (
        "between 1 Jul 2026, 05:00 UTC, when it last worked, and 1 Jul 2026, 06:00 UTC, when it first did not"
    )
    assert told.ended == "it goes on"
    assert (told.lasted, told.homes, told.heard, told.share, told.sure) == ("40 days", 11, 12, "98%", "65%")
    assert told.dissent == ("p-liar",)
    assert [plain(one) for one in told.exemptions] == [
        "2 homes were spared from 2 Jul 2026, 06:00 UTC to 8 Jul 2026, 06:00 UTC",
        "1 home has been spared since 2 Jul 2026, 06:00 UTC",
    ]
    assert [plain(one.span) for one in told.silent] == ["from 9 Jul 2026, 06:00 UTC to 10 Jul 2026, 06:00 UTC"]
    assert (told.silent[0].proof, told.proven, told.counted) == ([], False, "probe")
    assert told.hours[0] == incident_views.Hour(0, 1, 4, 25)
    assert told.hours[23] == incident_views.Hour(23, 0, 0, 0)
    assert told.summary == (
        "It began by 1 Jul 2026, 06:00 UTC and goes on. 11 of 12 independent homes saw it. "
        "Packets to the server disappear on the way; its neighbours answer."
    )


def test_what_heartbeats_prove_of_a_silence_is_said_by_the_hour() -> None:
    gap = JULY + 8 * DAY, JULY + 9 * DAY
    row = IncidentRow("0" * 16, 1, LASTING, "Oran", "")
    told = incident_views.view(row, "", NOW, EN, [Silence(*gap, idle=2, cut_off=21, dead=1)])
    assert [plain(one) for one in told.silent[0].proof] == [
        "2 hours: a probe was alive and in touch, and nothing came of measuring",
        "21 hours: a probe was alive, but cut off: its signs of life came late",
        "1 hour: no sign of life",
    ]
    assert told.proven
    dead = incident_views.view(row, "", NOW, EN, [Silence(*gap, idle=0, cut_off=0, dead=24)])
    assert [plain(one) for one in dead.silent[0].proof] == ["24 hours: no sign of life"]
    assert not dead.proven, "no heartbeat proves that nobody lived"
    other = incident_views.view(row, "", NOW, EN, [Silence(gap[0] + 1, gap[1], idle=1, cut_off=0, dead=0)])
    assert other.silent[0].proof == [], "of another interval"


def test_one_that_is_over() -> None:
    told = view(closed())
    assert (told.state, told.open, told.lasted) == ("Over", False, "3 days")
    assert plain(told.ended) == (
        "between 4 Jul 2026, 06:00 UTC, when it last failed, and 4 Jul 2026, 07:00 UTC, when it first worked again"
    )
    assert told.until is not None
    assert told.until.iso == "2026-07-04T06:00:00.000Z"
    assert told.summary.startswith("It lasted from 1 Jul 2026, 06:00 UTC to 4 Jul 2026, 06:00 UTC. ")


def test_ends_that_nobody_measured() -> None:
    assert plain(incident_views.began(Bounds(0, JULY), EN)) == (
        "on or before 1 Jul 2026, 06:00 UTC: nobody had measured it earlier"
    )
    since = plain(incident_views.ended(Bounds(JULY, 0), EN))
    assert since == "after 1 Jul 2026, 06:00 UTC: nobody has measured it since"


@pytest.mark.parametrize(
    ("one", "at"),
    [(LASTING, JULY), (closed(), JULY + 3 * DAY + HOUR),
     (msgspec.structs.replace(LASTING, ended=Bounds(JULY + DAY, 0)), JULY + DAY)],
)  # fmt: skip
def test_when_it_last_changed(one: Incident, at: int) -> None:
    assert incident_views.changed(one) == at


def test_names_that_are_missing_are_made_up_for() -> None:
    told = incident_views.view(IncidentRow("0", 1, LASTING, "", ""), "", NOW, EN)
    assert (told.operator, told.target) == ("AS64502", "203.0.113.10")
    nameless = msgspec.structs.replace(LASTING, series=msgspec.structs.replace(SERIES, operator=""))
    assert incident_views.view(IncidentRow("0", 1, nameless, "", ""), "", NOW, EN).operator == "Unknown operator"


@pytest.mark.parametrize(("code", "words"), [("fr", "2 foyers ont été épargnés du"), ("ar", "استُثني بيتان من")])
def test_in_other_languages(code: Code, words: str) -> None:
    told = view(code=code)
    assert words in plain(told.exemptions[0])
    assert told.state != view().state
    assert "octenium.example" in told.title


@pytest.mark.parametrize("code", CODES)
def test_dates_are_isolated(code: Code) -> None:
    for html in (view(code=code).began, view(closed(), code).ended, *view(code=code).exemptions):
        assert html.count("<bdi><time") == html.count("<time") > 0


def test_its_cell_is_that_of_its_findings(probes: Callable[..., FakeProbe]) -> None:
    line = Line("Oran", 64502, "DZ", "fixed")
    finding = probes("p-one", line).finding(measurement="blackhole", target=Target("203.0.113.10"))
    assert incident_views.cell_key(LASTING) == cell_key(finding)


def found(probe: str, first: int = 4, at: int | None = JULY + HOUR, technique: Any = "ip_blackhole") -> FindingRow:
    return FindingRow(
        id="f", cell="c", probe=probe, measurement="blackhole", target=Target("203.0.113.10"), line=Line(),
        verdict="interfered",
        interference=Interference(technique, "in_path", Location(3, first, Hop("198.18.2.3"), None)),
        at=at, received_at=0, has_evidence=False,
    )  # fmt: skip


def test_the_place_is_what_most_probes_name() -> None:
    findings = [
        found("a"), found("a"), found("b", 5), found("c"), found("late", 9, NOW), found("early", 9, JULY - 1),
        found("undated", 9, None), found("other", 9, technique="icmp_reject"),
    ]  # fmt: skip
    told = incident_views.places(closed(), findings, EN)
    assert [(plain(one.place), one.probes) for one in told] == [
        ("on the link between hop 3 (198.18.2.3) and hop 4", 2),
        ("on the link between hop 3 (198.18.2.3) and hop 5", 1),
    ]  # fmt: skip
    assert len(incident_views.places(LASTING, findings, EN)) == 3, "it lasts: what came late counts too"
    assert incident_views.places(LASTING, [], EN) == []


def measured(named: str, what: str, n: int, **changes: Any) -> HistoryRow:
    base = HistoryRow(
        country="DZ", operator=named, named=named, access="fixed", measurement="blackhole", target="203.0.113.10",
        start=0, what=what, n=n, probes=n,
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def test_other_operators_in_the_same_time() -> None:
    rows = [
        measured("Sale", "clean", 40), measured("Sale", "ip_blackhole", 1), measured("Sale", "inconclusive", 9),
        measured("Atlas", "down", 3), measured("Oran", "ip_blackhole", 50, operator="AS64502"),
        measured("Oran", "clean", 7, operator="AS64502", access="mobile"),
        measured("Sale", "clean", 5, measurement="voip"),
        measured("Sale", "clean", 5, target="203.0.113.11"), measured("Idle", "inconclusive", 5),
    ]  # fmt: skip
    assert incident_views.others(LASTING, rows, EN) == [
        incident_views.Other("Atlas", "fixed line", 0, 3, 3),
        incident_views.Other("Oran", "mobile", 0, 7, 7),
        incident_views.Other("Sale", "fixed line", 1, 41, 40),
    ]
