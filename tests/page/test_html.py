"""The page: each state has its headline in each language, and nothing that others wrote becomes markup."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.finding import Line
from probe.model.home import Category, View
from probe.page import html
from probe.page.words import LANGUAGES, words
from tests.page.conftest import NASTY, VIEW, told, view

VOID = {"meta", "link", "img", "input"}


class Tree(HTMLParser):
    """Fails on what is not closed; keeps tags, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


STATES: list[tuple[str, View | None]] = [
    ("silent", None),
    ("enrolling", view(enrolling=True)),
    ("paused_home", view(paused={"home": VIEW.since})),
    ("paused_operator", view(paused={"home": VIEW.since, "operator": VIEW.since})),
    ("down", view(link="down")),
    ("idle", view(findings=[], planned=0)),
    ("new", view(findings=[])),
    ("new", view(findings=[told("a", "inconclusive")])),
    ("interfered", VIEW),
    ("clean", view(findings=[told("a"), told("b", "down")])),
]


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize(("state", "shown"), STATES)
def test_every_state_has_its_headline(code: str, state: str, shown: View | None) -> None:
    said = words(code)
    text = html.page(shown, said)
    assert f"<h1>{escape(said(f'state.{state}'))}</h1>" in text
    tree = Tree(text)
    assert tree.tags[0] == ("html", {"lang": code, "dir": "rtl" if code == "ar" else "ltr"})
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in tree.tags:
        for reference in ("aria-labelledby", "aria-describedby", "for"):
            assert attributes.get(reference, "main") in ids, (tag, attributes)
    assert not {"script", "style", "iframe"} & {tag for tag, _ in tree.tags}
    assert not any(name.startswith("on") or name == "style" for _, attributes in tree.tags for name in attributes)
    assert "{" not in tree.text


@pytest.mark.parametrize("code", ["fr", "ar"])
def test_no_english_is_left_but_what_says_so(code: str) -> None:
    """Names, and what stands under lang="en", are allowed."""
    shown = html.page(view(findings=[told("t.example", "interfered", technique="ip_blackhole"), told("u.example")],
                           stalled=[], trouble="refused"), words(code))  # fmt: skip
    shown = re.sub(r'<(\w+) lang="en"[^>]*>.*?</\1>', "", shown)
    # The first test above says that no key lacks; here, that no English text was written into the markup.
    english = {text for text in words("en").keys().values() if " " in text and "{" not in text}
    assert [text for text in english if text in shown] == []


def test_the_worst_comes_first_and_what_works_is_folded_away() -> None:
    shown = Tree(html.page(view(findings=[told("ok.example"), told("odd.example", "inconclusive"),
                                          told("bad.example", "interfered", technique="tcp_reset")]), words("en"))).text
    assert shown.index("bad.example") < shown.index("odd.example") < shown.index("Worked as it should: 1")
    assert shown.index("Worked as it should: 1") < shown.index("ok.example")
    assert "Connections cut" in shown
    assert "30 min ago" in shown


@pytest.mark.parametrize(
    "changes",
    [
        {"findings": [told(NASTY, "interfered", measurement="x", reasons=[NASTY, NASTY])]},
        {"probe": NASTY}, {"software": NASTY}, {"line": Line(NASTY)}, {"trouble": NASTY}, {"stalled": [NASTY]},
        {"categories": [Category(NASTY, 1, on=True)]}, {"since": NASTY}, {"counts": {"failed": 1}},
    ],
)  # fmt: skip
def test_what_others_wrote_is_text(changes: dict[str, Any]) -> None:
    plain, nasty = Tree(html.page(view(findings=[]), words("fr"))), Tree(html.page(view(**changes), words("fr")))
    assert "<script>" not in html.page(view(**changes), words("fr"))
    assert [tag for tag, _ in nasty.tags].count("img") == [tag for tag, _ in plain.tags].count("img")
    assert not any("onerror" in attributes for _, attributes in nasty.tags)


@given(text=st.text(max_size=80))
def test_any_text_stays_text(text: str) -> None:
    shown = view(findings=[told(text, "interfered", reasons=[text])], categories=[Category(text, 1, on=False)])
    tree = Tree(html.page(shown, words("ar"), notice=text, alarm=text, card=text))
    assert {tag for tag, _ in tree.tags} == {tag for tag, _ in Tree(html.page(
        view(findings=[told("a", "interfered")], categories=[Category("b", 1, on=False)]), words("ar"),
        notice="x" if text else "", alarm="x" if text else "",
    )).tags}  # fmt: skip


def test_where_no_daemon_answers_the_card_speaks() -> None:
    shown = html.page(None, words("ar"), card=f"Line 3 is wrong {NASTY}")
    assert "Line 3 is wrong &lt;img" in shown
    assert words("ar")("card.title") in shown
    assert "<form" not in shown


def test_health_tells_what_is_wrong_and_only_that() -> None:
    well = Tree(html.page(VIEW, words("en"))).text
    assert "Stuck parts" not in well
    assert "given up" not in well
    ill = Tree(html.page(view(stalled=["worker"], dropped=5, counts={"failed": 4}, clock="unsynchronised",
                              feed="trouble", trouble="Connection refused"), words("en"))).text  # fmt: skip
    for text in ("worker", "given up for want of room5", "since the start4", "bear no sure date", "Connection refused"):
        assert text in ill


def test_boxes_are_as_was_chosen() -> None:
    boxes = [a for tag, a in Tree(html.page(VIEW, words("en"))).tags if tag == "input" and a.get("type") == "checkbox"]
    assert [(box["value"], "checked" in box) for box in boxes] == [("politics", False), ("religion", True)]
