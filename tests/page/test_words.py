"""The page's words: whole in every language, and true of everything that the page may have to say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements import names
from probe.model.finding import Clock, Technique, Verdict
from probe.model.home import Refusal
from probe.page.words import DIRECTIONS, LANGUAGES, NAMES, negotiate, to_seconds, words

PAGE = Path(__file__).parents[2] / "probe/page"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_every_text_with_the_same_fields(code: str) -> None:
    here, english = words(code).keys(), words("en").keys()
    assert here.keys() == english.keys()
    assert [key for key in here if fields(here[key]) != fields(english[key])] == []
    assert [key for key, text in here.items() if not text.strip()] == []


def test_nothing_was_left_in_another_language() -> None:
    french, arabic, english = (words(code).keys() for code in ("fr", "ar", "en"))
    assert {key for key in english if french[key] == english[key] and " " in english[key]} == set()
    letters = re.compile(r"[\u0600-\u06ff]")
    assert [key for key, text in arabic.items() if not letters.search(text)] == []


def test_all_that_can_happen_has_words() -> None:
    known = words("en").keys()
    wanted = {f"verdict.{verdict}{more}" for verdict in get_args(Verdict) for more in ("", "_why")}
    wanted |= {f"technique.{technique}{more}" for technique in get_args(Technique) for more in ("", "_why")}
    wanted |= {f"measurement.{name}" for name in names()}
    wanted |= {f"health.clock_{clock}" for clock in get_args(Clock)}
    wanted |= {f"said.{refusal}" for refusal in get_args(Refusal) if refusal}
    assert wanted - known.keys() == set()


def test_every_text_that_the_page_asks_for_is_there_and_every_one_there_is_asked_for() -> None:
    literal, begun = set[str](), set[str]()
    for path in PAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literal.add(node.value)
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                begun.add(str(node.values[0].value))
    known = words("en").keys()
    asked = {text for text in literal if re.fullmatch(r"[a-z]+\.[a-z_0-9]*[a-z0-9]", text) and text.split(".")[0] in
             {key.split(".")[0] for key in known}}  # fmt: skip
    assert asked - known.keys() == set()
    sections = {"leaves.", "never."}  # f"{section}.{n}"
    unused = {
        key for key in known.keys() - asked
        if not any(len(start) > 3 and key.startswith(start) for start in begun | sections)
    }  # fmt: skip
    assert unused == set()


def test_languages_and_directions() -> None:
    assert list(NAMES) == list(LANGUAGES) == ["fr", "ar", "en"]
    assert DIRECTIONS == {"fr": "ltr", "ar": "rtl", "en": "ltr"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "en"), ("fr", "fr"), ("ar-DZ,ar;q=0.9,fr;q=0.8", "ar"), ("de,fr;q=0.5,en;q=0.3", "fr"), ("*", "en"),
        ("en;q=0.2, fr;q=0.7", "fr"), ("FR-ma", "fr"), ("ar;q=0", "en"), ("fr;q=x,ar;q=0.1", "ar"), (",;,q=1;;", "en"),
    ],
)  # fmt: skip
def test_the_browser_s_language_is_taken(header: str, expected: str) -> None:
    assert negotiate(header) == expected


@given(st.text(max_size=200))
def test_any_header_gives_a_language(header: str) -> None:
    assert negotiate(header) in LANGUAGES


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7199, "119 min ago"), (7200, "2 h ago"),
     (48 * 3600 - 1, "47 h ago"), (48 * 3600, "2 d ago")],
)  # fmt: skip
def test_how_long_ago(seconds: float, text: str) -> None:
    assert words("en").ago(seconds) == text


def test_a_moment_in_seconds() -> None:
    assert to_seconds("1970-01-02T00:00:01.500Z") == 86401.5
