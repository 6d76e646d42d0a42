"""A study for people to read."""

from __future__ import annotations

import re

import msgspec
import pytest

from probe.collector.dossier.cover import DOMAIN
from probe.collector.languages.language import CODES, Code, load
from probe.collector.study.gather import gather
from probe.collector.study.report import report
from tests.collector.conftest import Desk
from tests.collector.study.conftest import NOW


def bare(page: str) -> str:
    apart = re.sub(r"</(?:t[dh]|p|h\d|li|d[td])>", " ", page)
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", "", apart, flags=re.DOTALL).split())


@pytest.mark.parametrize("code", CODES)
def test_it_says_what_was_found_and_what_can_not_be_said(filled: Desk, code: Code) -> None:
    page = report(gather(filled.reader, "2026-02", "MA", NOW), code, NOW)
    language, told = load(code, DOMAIN), bare(page)
    assert f'<html lang="{code}" dir="{"rtl" if code == "ar" else "ltr"}">' in page
    for message in ("Operators compared", "Interference by technique", "Trend", "What can't be said"):
        assert bare(str(language.html(message))) in told
    assert "Atlas Telecom" in told
    assert "Rif" in told
    assert language.country("MA") in told
    assert bare(language.percent(0.5)) in told
    assert "Lone" not in told
    hidden = language.html(
        "Operators that are not shown, since fewer than %(k)s homes measured them and what is said of them would be "
        "said of those homes: %(num)s.", num=1, k=2,
    )  # fmt: skip
    assert bare(str(hidden)) in told
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []


def test_a_month_that_goes_on_says_so(filled: Desk) -> None:
    told = bare(report(gather(filled.reader, "2026-02", "MA", NOW - 20 * 86_400_000), "en", NOW))
    assert "The month is not over: its figures go up to 18 Feb 2026" in told


def test_a_month_of_single_homes_shows_nothing(filled: Desk) -> None:
    figures = gather(filled.reader, "2026-02", "MA", NOW)
    empty = msgspec.structs.replace(figures, operators=[], techniques=[], incidents=[], trend=[], hidden=3)
    told = bare(report(empty, "en", NOW))
    assert "Nothing can be shown of this month" in told
    assert "None was found." in told
