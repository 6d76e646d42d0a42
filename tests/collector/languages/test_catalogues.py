"""The catalogues are whole: every message of the code and the templates, in every language, in every plural form."""

from __future__ import annotations

import re
import string
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from probe.collector.languages.language import CODES, SOURCE

COLLECTOR = Path(__file__).parents[3] / "probe/collector"
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None, "text": None, "html": None, "mark": None, "n_": (1, 2), "texts": (1, 2), "htmls": (1, 2),
}  # fmt: skip
OTHERS = [code for code in CODES if code != SOURCE]
# Written alike in both languages, and not for want of translating.
SAME = {
    "fr": {"Incident", "Incidents", "mobile", "Test", "Technique", "Verdict", "Silence", "%(address)s, port %(port)s"},
    "ar": {"%(label)s: %(value)s", "%(technique)s: %(targets)s."},
}


@cache
def messages() -> dict[tuple[str, ...], str]:
    """(message, plural or nothing) → where it stands."""
    found = extract_from_dir(
        COLLECTOR, [("**.py", "python"), ("templates/**", "jinja2")], keywords=KEYWORDS,
        callback=lambda *_: None,
    )  # fmt: skip
    told: dict[tuple[str, ...], str] = {}
    for file, line, message, _, _ in found:
        told[message if isinstance(message, tuple) else (message,)] = f"{file}:{line}"
    return told


@cache
def catalogues(code: str) -> list[Catalog]:
    """The monitor's, and those of further domains."""
    found = []
    for path in [COLLECTOR / f"languages/{code}.po", *sorted(COLLECTOR.glob(f"languages/*.{code}.po"))]:
        with path.open("rb") as file:
            found.append(read_po(file, locale=code, abort_invalid=True))
    return found


def key(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def said(message: Message) -> tuple[str, ...]:
    string = message.string or ""
    return (string,) if isinstance(string, str) else tuple(text or "" for text in string)


def entries(code: str) -> dict[tuple[str, ...], Message]:
    return {key(message): message for one in catalogues(code) for message in one if message.id}


def names(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


def test_there_is_something_to_say() -> None:
    assert len(messages()) > 150
    assert ("%(num)s probe", "%(num)s probes") in messages()


@pytest.mark.parametrize("code", OTHERS)
def test_no_message_is_missing(code: str) -> None:
    missing = [f"{where}: {' | '.join(one)}" for one, where in messages().items() if one not in entries(code)]
    assert not missing, "\n".join([f"not in {code}.po:", *missing])


@pytest.mark.parametrize("code", OTHERS)
def test_no_message_is_left_over(code: str) -> None:
    assert sorted(set(entries(code)) - set(messages())) == []


@pytest.mark.parametrize(("code", "forms"), [("fr", 2), ("ar", 6)])
def test_every_form_is_filled_in_and_none_is_doubtful(code: str, forms: int) -> None:
    for one, message in entries(code).items():
        assert not message.fuzzy, one
        assert len(said(message)) == (forms if len(one) == 2 else 1), one
        assert all(text.strip() for text in said(message)), one


@pytest.mark.parametrize("code", OTHERS)
def test_the_same_values_are_asked_for(code: str) -> None:
    for one, message in entries(code).items():
        asked = names(one[-1])
        for number, text in enumerate(said(message)):
            assert names(text) <= asked, one
            # In a plural form, one, two and none may be said in words; of none, the rest may go unsaid.
            none = code == "ar" and number == 0
            unsaid = set[str]() if len(one) == 1 else asked if none else {"num"}
            assert asked - unsaid <= names(text), one
            # A message with values is formatted, so every other percent sign in it is doubled.
            assert not asked or not re.search(r"(?<!%)%(?!\(\w+\)s|%)", text), one


@pytest.mark.parametrize("code", OTHERS)
def test_nothing_is_left_in_english(code: str) -> None:
    for one, message in entries(code).items():
        if len(one) == 1 and one[0] not in SAME[code]:
            assert said(message) != one, one


def test_arabic_is_written_in_arabic() -> None:
    # Names and abbreviations that Arabic text writes in Latin letters too.
    latin = {"DNS", "UDP", "STUN", "JSON", "UTC", "SHA", "Atom", "pcapng"}
    for one, message in entries("ar").items():
        for text in said(message):
            plain = re.sub(r"%\(\w+\)s", "", text)
            assert set(re.findall(f"[{string.ascii_letters}]+", plain)) <= latin, one


def test_french_keeps_its_signs_with_their_words() -> None:
    for one, message in entries("fr").items():
        for text in said(message):
            assert not re.search(r"\w [:;?!»]|« ", text), one
            assert "'" not in text, one


@pytest.mark.parametrize("name", [path.name for path in sorted((COLLECTOR / "templates").iterdir())])
def test_every_template_is_looked_through(name: str) -> None:
    text = (COLLECTOR / "templates" / name).read_text()
    if re.search(r"\b(?:n?_|texts?)\(\"", text):
        assert any(where.startswith(f"templates/{name}:") for where in messages().values()), name
