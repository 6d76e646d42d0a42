"""Messages, plural forms, numbers, dates and lists, in three languages."""

from __future__ import annotations

import gettext
from typing import Any

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from probe.collector import instants
from probe.collector.languages.language import CODES, NAMES, Code, Language, load

NOON = instants.from_text("2026-08-01T12:05:59.999Z")
PROBES = ("%(num)s probe", "%(num)s probes")
TARGET = "%(target)s on %(operator)s"


@pytest.mark.parametrize(
    ("code", "number", "expected"),
    [
        ("en", 1, "1 probe"), ("en", 0, "0 probes"), ("en", 1234, "1,234 probes"),
        ("fr", 0, "0 sonde"), ("fr", 1, "1 sonde"), ("fr", 2, "2 sondes"), ("fr", 1234, "1\u202f234 sondes"),
        ("ar", 0, "لا مسبار"), ("ar", 1, "مسبار واحد"), ("ar", 2, "مسباران"), ("ar", 3, "3 مسابر"),
        ("ar", 11, "11 مسبارًا"), ("ar", 100, "100 مسبار"), ("ar", 103, "103 مسابر"),
    ],
)  # fmt: skip
def test_plural_forms(code: Code, number: int, expected: str) -> None:
    assert load(code).texts(*PROBES, number) == expected
    assert load(code).htmls(*PROBES, number) == expected


class Forms(gettext.NullTranslations):
    """Says which form a language's catalogue takes."""

    def __init__(self, real: Any) -> None:
        super().__init__()
        self._real = real

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002 - the form is what is asked
        return str(self._real.plural(n))


@given(number=st.integers(0, 99_999))
@pytest.mark.parametrize(("code", "categories"), [("ar", "zero one two few many other"), ("fr", "one other")])
def test_the_catalogues_take_the_form_that_unicode_s_rules_say(code: Code, categories: str, number: int) -> None:
    form = int(Language("en", Forms(load(code)._catalogue)).texts("", "", number))
    assert categories.split()[form] == Locale(code).plural_form(number)


def test_direction_and_names() -> None:
    assert {code: load(code).direction for code in CODES} == {"fr": "ltr", "ar": "rtl", "en": "ltr"}
    assert set(NAMES) == set(CODES)


@pytest.mark.parametrize(
    ("code", "when", "day"),
    [
        ("en", "1 Aug 2026, 12:05 UTC", "1 Aug"),
        ("fr", "1 août 2026 à 12:05 UTC", "1 août"),
        ("ar", "1 أغسطس 2026، 12:05 UTC", "1 أغسطس"),
    ],
)
def test_dates_are_in_utc_and_say_so(code: Code, when: str, day: str) -> None:
    assert (load(code).date(NOON), load(code).day(NOON)) == (when, day)


@pytest.mark.parametrize(("code", "share"), [("en", "92%"), ("fr", "92\u202f%"), ("ar", "92%")])
def test_percent(code: Code, share: str) -> None:
    shown = load(code).percent(0.923)
    assert shown.replace("\xa0", "\u202f").replace("\u200e", "") == share


def test_every_digit_is_one_that_the_maghreb_writes() -> None:
    arabic = load("ar")
    told = [arabic.number(1234.5), arabic.percent(0.5), arabic.date(NOON), arabic.duration(9 * instants.DAY)]
    assert all(ch in "0123456789" for text in told for ch in text if ch.isdigit())


@pytest.mark.parametrize(
    ("code", "short", "long"),
    [("en", "47 hours", "2 days"), ("fr", "47 heures", "2 jours"), ("ar", "47 ساعة", "يومان")],
)
def test_durations(code: Code, short: str, long: str) -> None:
    said = load(code)
    assert said.duration(2 * instants.DAY - 1) == short
    assert said.duration(2 * instants.DAY + instants.MINUTE) == long


def test_values_are_isolated_and_escaped_in_html() -> None:
    for code in CODES:
        shown = load(code).html(TARGET, target="<b>", operator=Markup("<i>Atlas</i>"))
        assert "<bdi>&lt;b&gt;</bdi>" in shown
        assert "<i>Atlas</i>" in shown
        assert "<b>" not in shown


def test_values_are_isolated_in_plain_arabic_text_alone() -> None:
    assert load("en").text(TARGET, target="a", operator="b") == "a on b"
    assert load("ar").text(TARGET, target="a", operator="b") == "\u2068a\u2069 لدى \u2068b\u2069"


def test_lists() -> None:
    assert load("en").listed(["a<", Markup("<i>b</i>")]) == "<bdi>a&lt;</bdi> and <i>b</i>"
    assert load("fr").listed(["a", "b", "c"]) == "<bdi>a</bdi>, <bdi>b</bdi> et <bdi>c</bdi>"
    assert load("ar").listed([]) == ""


def test_a_message_without_values_may_hold_percent_signs() -> None:
    assert load("en").html("95 % of <all>") == "95 % of &lt;all&gt;"
    assert load("en").text("95 % of all") == "95 % of all"
