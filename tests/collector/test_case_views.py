"""Cases in words: the two histories, and what a list says of each."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from probe.collector import case_views, case_words, instants
from probe.collector.case_words import Names
from probe.collector.casebook import Told
from probe.collector.incidents.cases import (
    Abroad,
    Alone,
    CallsNotChat,
    Case,
    Company,
    Countrywide,
    Intermittent,
    InTurn,
    Trait,
)
from probe.collector.incidents.model import HOUR, Bounds, Exemption, Incident, Series
from probe.collector.languages.language import CODES, Code, load
from probe.collector.store import FindingRow, IncidentRow
from probe.model.finding import Access, Hop, Interference, Line, Location, Target, Technique

DAY = instants.DAY
JULY = instants.from_text("2026-07-01T06:00:00.000Z")
NOW = JULY + 40 * DAY
EN = load("en")
NAMES = Names({"AS64501": "Atlas", "AS64502": "Oran"}, {"203.0.113.10": "octenium.example"})


def row(
    number: int, operator: str = "AS64502", target: str = "203.0.113.10", *, access: Access = "fixed",
    technique: Technique = "ip_blackhole", began: int = JULY, ended: int | None = None, homes: int = 11,
    heard: int = 12, group: str = "octenium", silent: tuple[tuple[int, int], ...] = (),
) -> IncidentRow:  # fmt: skip
    measurement = "voip" if technique.startswith("voip") else "blackhole"
    one = Incident(
        series=Series("DZ", operator, access, measurement, target, technique), state="closed" if ended else "open",
        began=Bounds(began - HOUR, began), ended=Bounds(ended, ended + HOUR) if ended else None, homes=homes,
        heard=heard, dissent=(), share=0.98, hours=((0, 0),) * 24, intermittent=False, exemptions=(), silent=silent,
        sure=0.6,
    )  # fmt: skip
    return IncidentRow(f"{number:016x}", number, one, "", group)


COMPANY = [row(1), row(2, target="203.0.113.11", began=JULY + DAY, heard=10, homes=10)]


@cache
def view(code: Code = "en") -> case_views.CaseView:
    return case_views.view(COMPANY, NAMES, NOW, load(code))


def test_a_company_on_one_operator() -> None:
    told = view()
    assert (told.id, told.title) == ("0" * 15 + "1", "Packets swallowed: Octenium (2 targets) on Oran")
    assert told.heading.striptags() == told.title
    assert (told.state, told.open, told.until, told.lasted) == ("Going on", True, None, "40 days")
    assert told.began.striptags().startswith("between 1 Jul 2026, 05:00 UTC, when it last worked")
    assert (told.operators, told.targets, told.incidents, told.homes, told.heard) == (1, 2, 2, 11, 12)
    assert told.sure == "65%"
    (part,) = told.parts
    assert (part.operator, part.access, part.homes, part.heard) == ("Oran", "fixed line", 11, 12)
    assert [name for name, _ in part.targets] == ["203.0.113.11", "octenium.example"]
    assert told.changed == JULY + DAY
    assert told.summary == "It began by 1 Jul 2026, 06:00 UTC and goes on. 11 of 12 independent homes saw it."


def test_one_target_on_several_operators_that_is_over() -> None:
    rows = [
        row(1, ended=JULY + 3 * DAY, homes=3, heard=4),
        row(2, "AS64501", access="mobile", began=JULY + DAY, ended=JULY + 9 * DAY, homes=2, heard=5),
    ]
    told = case_views.view(rows, NAMES, NOW, EN)
    assert told.title == "Packets swallowed: octenium.example on 2 operators, Algeria"
    assert (told.homes, told.heard, told.open, told.state) == (5, 9, False, "Over")
    assert [(part.operator, part.access, part.until and part.until.iso[:10]) for part in told.parts] == [
        ("Oran", "fixed line", "2026-07-04"), ("Atlas", "mobile", "2026-07-10"),
    ]  # fmt: skip
    assert told.until is not None
    assert told.until.iso == "2026-07-10T06:00:00.000Z"
    assert told.summary.startswith("It lasted from 1 Jul 2026, 06:00 UTC to 10 Jul 2026, 06:00 UTC.")
    assert told.changed == JULY + 9 * DAY + HOUR


@pytest.mark.parametrize(
    ("techniques", "what"),
    [(("voip_media", "voip_stun"), "Calls blocked"), (("voip_media",), "Calls silenced"),
     (("dns_injection", "tcp_reset"), "Interference")],
)  # fmt: skip
def test_several_techniques_have_a_name_in_common(techniques: tuple[Technique, ...], what: str) -> None:
    rows = [row(n, technique=technique) for n, technique in enumerate(techniques)]
    assert case_views.view(rows, NAMES, NOW, EN).title == f"{what}: octenium.example on Oran"


def test_of_calls_the_services_are_counted() -> None:
    rows = [row(n, target=f"sip:{n}", technique="voip_media", group="voip") for n in range(3)]
    assert case_views.view(rows, NAMES, NOW, EN).title == "Calls silenced: 3 services on Oran"


def told(*traits: Trait, exemptions: tuple[Exemption, ...] = ()) -> Told:
    one = Case(
        country="DZ", subject="octenium", calls=False, began=Bounds(0, JULY), ended=None, members=("1",), parts=(),
        traits=traits, exemptions=exemptions,
    )  # fmt: skip
    return Told(one, tuple(COMPANY), ("AS64502",))


SENTENCES: list[tuple[Trait, list[str]]] = [
    (Company("AS64502", 3, 4, 2), ["On Oran it is found with 3 of 4 addresses or names of this group.",
                                   "2 targets of others work there meanwhile."]),
    (Company("AS64502", 3, 3, 0), ["On Oran it is found with 3 of 3 addresses or names of this group."]),
    (Alone(("AS64501", "AS64509")),
     ["It works on other operators of the country that measured it: Atlas and AS64509."]),
    (Countrywide(("AS64501", "AS64502")), ["It is found on all 2 operators of the country that were measured."]),
    (Abroad(("FR", "TN"), ()), ["It works abroad: France and Tunisia."]),
    (Abroad((), ("FR",)), ["It does not work abroad either: France."]),
    (CallsNotChat(("203.0.113.10",)), ["Text messages work on the same lines: octenium.example."]),
    (Intermittent(0.46, ()), ["It comes and goes: 46% of the measurements show it."]),
    (Intermittent(0.46, (8, 20)), ["It comes and goes: 46% of the measurements show it.",
                                   "Most often in the hours from 08:00 and 20:00 (UTC)."]),
    (InTurn("mobile", "fixed", 47 * DAY + HOUR), ["It began on mobile lines, and 47 days later on fixed lines."]),
]  # fmt: skip


@pytest.mark.parametrize(("trait", "expected"), SENTENCES)
def test_every_trait_is_said_with_its_numbers(trait: Trait, expected: list[str]) -> None:
    assert [one.striptags() for one in case_words.sentences(told(trait), NAMES, EN)] == expected
    for code in CODES:
        said = case_words.sentences(told(trait), NAMES, load(code))
        assert len(said) == len(expected)
        assert code == "en" or not {one.striptags() for one in said} & set(expected)


def test_who_is_spared_is_said() -> None:
    some = told(exemptions=(Exemption(2, JULY, JULY + DAY, ("p-a", "p-b")),) * 2)
    (said,) = case_words.spared(some, EN)
    assert said.striptags() == "2 homes were spared from 1 Jul 2026, 06:00 UTC to 2 Jul 2026, 06:00 UTC"
    assert "p-a" not in said


def test_an_operator_without_a_name_is_called_by_its_key() -> None:
    assert NAMES.operator("AS9", EN) == "AS9"
    assert NAMES.operator("", EN) == "Unknown operator"
    assert NAMES.target("198.51.100.1") == "198.51.100.1"


@pytest.mark.parametrize(("code", "country"), [("fr", "Algérie"), ("ar", "الجزائر")])
def test_in_other_languages(code: Code, country: str) -> None:
    rows = [*COMPANY, row(3, "AS64501")]
    there = case_views.view(rows, NAMES, NOW, load(code))
    assert country in there.title
    assert "Octenium" in there.title
    assert there.state != view().state
    assert "<bdi>" in there.heading


def found(probe: str, technique: Technique = "ip_blackhole", first: int = 4) -> FindingRow:
    location = Location(first - 1, first, Hop("198.18.2.3"), None)
    return FindingRow(
        id="f", cell="c", probe=probe, measurement="blackhole", target=Target("203.0.113.10"), line=Line(),
        verdict="interfered", interference=Interference(technique, "in_path", location), at=JULY + 2 * DAY,
        received_at=0, has_evidence=False,
    )  # fmt: skip


def test_the_place_is_what_most_probes_of_all_its_incidents_name() -> None:
    located = [
        (COMPANY[0], [found("a"), found("b"), found("x", "icmp_reject")]),
        (COMPANY[1], [found("b"), found("c", first=7)])
    ]  # fmt: skip
    places = case_views.places(located, EN)
    assert [(one.place.striptags(), one.probes) for one in places] == [
        ("on the link between hop 3 (198.18.2.3) and hop 4", 2),
        ("on the link between hop 6 (198.18.2.3) and hop 7", 1),
    ]


def test_scripts_in_names_are_text() -> None:
    nasty = Names({"AS64502": "<script>"}, {"203.0.113.10": "<b>"})
    here = case_views.view([msgspec.structs.replace(COMPANY[0], operator="<i>")], nasty, NOW, EN)
    assert "&lt;script&gt;" in here.heading
    assert "<script>" not in here.heading
    assert "&lt;b&gt;" in here.heading
