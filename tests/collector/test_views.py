"""From cells to the page's rows, columns and sentences."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.collector import instants, views
from probe.collector.cells import Cell, column_key
from probe.collector.languages.language import load
from probe.model.finding import Interference, Line, Location, Target, Verdict

NOW = instants.from_text("2026-03-01T12:00:00.000Z")
ATLAS, RIF = Line("Atlas", 64501, "MA", "fixed"), Line("Rif", 64502, "MA", "mobile")
EN = load("en")
FORGED = Interference("dns_injection", "on_path", Location(4, 5))


def cell(line: Line = ATLAS, name: str = "news.example", verdict: Verdict = "clean", **changes: Any) -> Cell:
    base = Cell(
        key=f"{line.operator}{name}"[:16],
        column=column_key(line),
        change=1,
        line=line,
        measurement="dns_injection",
        target=Target(name, name, group="press"),
        verdict=verdict,
        interference=FORGED if verdict == "interfered" else None,
        finding_id="f",
        since=NOW - 1000,
        last=NOW,
        agree=1,
        probes=1,
        confidence=1.0,
    )
    return msgspec.structs.replace(base, **changes)


def test_operators_side_by_side_and_targets_in_groups() -> None:
    page = views.monitor(
        [
            cell(ATLAS, verdict="interfered", change=7),
            cell(RIF),
            cell(RIF, target=Target("https://calls.example/", "calls.example", group="voip"), measurement="tcp_reset"),
        ],
        NOW,
        EN,
    )
    assert [(c.operator, c.access, c.network) for c in page.columns] == [
        ("Atlas", "fixed line", "AS64501 · MA"),
        ("Rif", "mobile", "AS64502 · MA"),
    ]
    assert [g.title for g in page.groups] == ["Calls", "Press"]
    (calls,) = page.groups[0].targets
    assert (calls.name, calls.rows[0].test, calls.rows[0].asked) == (
        "calls.example",
        "Web connection",
        "https://calls.example/",
    )
    assert calls.rows[0].cells[0] is None, "not measured on Atlas"
    (press,) = page.groups[1].targets
    assert [c and c.verdict for c in press.rows[0].cells] == ["interfered", "clean"]
    assert press.rows[0].asked == "", "nothing to add to the name"
    assert page.change == 7


def test_targets_without_a_group_come_last() -> None:
    page = views.monitor([cell(target=Target("a.example")), cell(target=Target("z.example", group="zoo"))], NOW, EN)
    assert [g.title for g in page.groups] == ["Zoo", "Other targets"]


def test_a_column_is_called_what_its_newest_finding_calls_it() -> None:
    old = cell(Line("atlas tlc", 64501, "MA", "fixed"), "a.example", last=NOW - 5)
    page = views.monitor([old, cell(ATLAS, "b.example")], NOW, EN)
    assert [c.operator for c in page.columns] == ["Atlas"]


@pytest.mark.parametrize(
    ("cells", "headline", "state"),
    [
        ([], "No measurement in the last 24 hours", "inconclusive"),
        ([cell(ATLAS, verdict="interfered"), cell(RIF)], "Interference on 1 of 2 operators now", "interfered"),
        ([cell(ATLAS)], "No interference found on 1 operator now", "clean"),
        ([cell(ATLAS, verdict="inconclusive")], "Nothing conclusive on 1 operator now", "inconclusive"),
        ([cell(ATLAS, verdict="down"), cell(RIF)], "No interference found on 2 operators now", "clean"),
        (
            [cell(ATLAS, verdict="interfered"), cell(msgspec.structs.replace(ATLAS, access="mobile"))],
            "Interference on 1 of 1 operator now",
            "interfered",
        ),
    ],
)
def test_the_headline(cells: list[Cell], headline: str, state: str) -> None:
    summary = views.summary(cells, NOW, EN)
    assert (summary.headline, summary.state) == (headline, state)


def test_what_nobody_measured_lately_says_nothing_about_now() -> None:
    old = cell(ATLAS, verdict="interfered", last=NOW - views.STALE - 1)
    assert views.view(old, NOW, EN).stale
    assert views.summary([old, cell(RIF)], NOW, EN).headline == "No interference found on 1 operator now"
    assert not views.view(cell(last=NOW - views.STALE), NOW, EN).stale


def test_a_sentence_names_techniques_and_targets_once() -> None:
    (sentence,) = views.summary(
        [
            cell(verdict="interfered"),
            cell(verdict="interfered", measurement="ttl_path"),
            cell(name="calls.example", verdict="interfered", interference=Interference("tcp_reset")),
            cell(name="shop.example"),
            cell(name="far.example", verdict="inconclusive"),
        ],
        NOW,
        EN,
    ).operators
    assert (sentence.tests, sentence.interfered, sentence.unsure) == (5, 3, 1)
    assert sentence.found == {"Connections cut": ["calls.example"], "Forged DNS answers": ["news.example"]}


def test_the_worst_operator_is_named_first() -> None:
    summary = views.summary([cell(Line("A", 1)), cell(Line("B", 2), verdict="interfered")], NOW, EN)
    assert [s.operator for s in summary.operators] == ["B", "A"]


def test_a_cell_in_words() -> None:
    view = views.view(cell(verdict="interfered", agree=2, probes=3, since=NOW - instants.DAY), NOW, EN)
    assert (view.label, view.technique) == ("Interference", "Forged DNS answers")
    assert view.place == "on the link between hop 4 and hop 5"
    assert (view.since.text, view.since.iso) == ("28 Feb 2026, 12:00 UTC", "2026-02-28T12:00:00.000Z")
    assert (view.agree, view.probes, view.access) == (2, 3, "fixed line")


def test_an_operator_without_a_name() -> None:
    assert views.operator_name(Line("", 64501), EN) == "AS64501"
    assert views.operator_name(Line(), EN) == "Unknown operator"


def test_the_numbers_to_cite_have_their_denominators() -> None:
    fresh = [
        cell(verdict="interfered"), cell(name="b.example"), cell(RIF, verdict="inconclusive"),
        cell(RIF, verdict="down"),
    ]  # fmt: skip
    summary = views.summary([*fresh, cell(Line("C", 3), last=NOW - views.STALE - 1)], NOW, EN)
    assert (summary.measured, summary.interfered) == (2, 1)
    assert (summary.tests, summary.tests_interfered, summary.tests_unsure) == (4, 1, 1)


def test_every_target_has_a_page_of_its_own() -> None:
    page = views.monitor([cell(), cell(name="b.example")], NOW, EN)
    keys = [target.key for target in page.groups[0].targets]
    assert keys == [views.target_key("b.example"), views.target_key("news.example")]
    assert len(set(keys)) == 2


def test_words_in_other_languages() -> None:
    french, arabic = (views.view(cell(verdict="interfered"), NOW, load(code)) for code in ("fr", "ar"))
    assert (french.label, french.technique, french.access) == ("Interférence", "Réponses DNS forgées", "ligne fixe")
    assert french.since.iso == arabic.since.iso
    assert french.since.text == "1 mars 2026 à 11:59 UTC"
    assert arabic.label == "تدخّل"
    page = views.monitor([cell(target=Target("z.example"))], NOW, load("fr"))
    assert (page.groups[0].title, page.groups[0].targets[0].rows[0].test) == ("Autres cibles", "Résolution de noms")
