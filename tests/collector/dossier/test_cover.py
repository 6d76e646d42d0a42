"""A cover says all facts in each language, to each reader, and shows hostile text harmless."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from probe.collector.dossier.contents import contents
from probe.collector.dossier.cover import DOMAIN, cover
from probe.collector.dossier.facts import Facts, facts
from probe.collector.dossier.make import make
from probe.collector.dossier.pack import unpack
from probe.collector.dossier.phrases import CONFOUNDERS, LETTERS, UNSURE, Recipient
from probe.collector.languages.language import CODES, Code, load
from tests.collector.conftest import Desk
from tests.collector.dossier.conftest import KEY, NOW

MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"))


@pytest.fixture
def found(desk: Desk, incident: str) -> Facts:
    row = desk.reader.incident(incident)
    assert row is not None
    some = contents(desk.reader, row, NOW, file="x.zip", cover="cover-en.pdf")
    return facts(desk.reader, row, some.findings, some.captured, NOW)


def bare(page: str) -> str:
    """What a reader sees of a page."""
    apart = re.sub(r"</(?:t[dh]|p|h\d|li|d[td])>", " ", page)
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", "", apart, flags=re.DOTALL).split())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("to", get_args(Recipient))
def test_every_reader_is_told_everything_in_every_language(found: Facts, to: Recipient, code: Code) -> None:
    page = cover(found, to, code, NOW, file="x.zip", key="0123456789abcdef")
    language = load(code, DOMAIN)
    told = bare(page)
    letter = LETTERS[to]
    for message in (letter.to, letter.salutation, letter.opening, letter.closing):
        assert bare(str(language.html(message))) in told
    assert f'<html lang="{code}" dir="{"rtl" if code == "ar" else "ltr"}">' in page
    for one in found.checks:
        assert bare(str(language.html(CONFOUNDERS[one.name].what))) in told
    for doubt in found.doubts:
        assert bare(str(language.html(UNSURE[doubt.name]).split("%(")[0])) in told
    assert "colibri collector check x.zip" in told
    assert "0123456789abcdef" in told
    assert found.row.id in told
    assert "198.18.4.1" in told
    heads = re.findall("<h2>(.*?)</h2>", page)
    assert heads[0] == language.text("The facts")
    assert len(heads) == len(letter.sections)
    # Addresses and dates stand apart from right-to-left text.
    assert '<bdi dir="ltr">198.18.4.1</bdi>' in page
    assert f'<bdi dir="{"rtl" if code == "ar" else "ltr"}"><time' in page


def test_the_order_is_the_readers(found: Facts) -> None:
    court, press = (bare(cover(found, to, "en", NOW, file="x", key="k")) for to in ("court", "journalist"))
    assert court.index("How it was measured") < court.index("Through time")
    assert press.index("Through time") < press.index("How it was measured")
    assert "The number to cite" in press
    assert "The number to cite" not in court
    assert "Words" in court


def test_what_is_open_is_said_to_be_open(found: Facts) -> None:
    told = bare(cover(found, "regulator", "en", NOW, file="x", key="k"))
    # Nobody else measured it: the server may have been down.
    assert "The server itself was down Nothing was measured that could tell. open" in told
    assert "Not excluded by the numbers: The server itself was down." in told
    assert "No other operator of the country measured it in that time." in told
    assert "The home&#39;s line or its wireless network was bad Controls on the same line" in told


def test_dates_stand_under_midnights(found: Facts) -> None:
    page = cover(found, "regulator", "en", NOW, file="x", key="k")
    ticks = re.findall(r'<span style="left: ([\d.]+)%"><bdi dir="ltr">(.*?)</bdi>', page)
    assert ticks == [("0.0", "1 Feb"), ("33.3", "2 Feb"), ("66.7", "3 Feb")]


def test_hostile_text_is_shown_harmless(found: Facts) -> None:
    evil = "</style><script>alert(1)</script>"
    row = msgspec.structs.replace(found.row, operator=evil)
    page = cover(msgspec.structs.replace(found, row=row), "court", "fr", NOW, file=evil, key="k")
    assert "<script" not in page
    assert page.count("</style>") == 1


def test_a_page_needs_nothing_from_elsewhere(found: Facts) -> None:
    page = cover(found, "court", "ar", NOW, file="x.zip", key="k")
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "url(" not in page


@pytest.mark.parametrize(("code", "words"), [
    ("en", ["news.example", "Atlas Telecom", "2 of 2 independent homes", "What was excluded, and how", "198.18.4.1"]),
    ("fr", ["news.example", "Atlas Telecom", "Ce qui a été exclu, et comment", "Foyers où cela a été constaté"]),
    ("ar", ["news.example", "Atlas Telecom", "الوقائع", "هيئة", "198.18.4.1"]),
])  # fmt: skip
def test_the_pdf_holds_the_facts_as_text(
    desk: Desk, incident: str, code: Code, words: list[str], tmp_path: Path
) -> None:  # fmt: skip
    files = unpack(make(desk.reader, incident, KEY, NOW, "x.zip", language=code).data, "x.zip")
    (tmp_path / "x.pdf").write_bytes(files[f"cover-{code}.pdf"])
    assert f"cover-{code}.pdf" in files["README.txt"].decode()
    done = subprocess.run(["pdftotext", "-raw", tmp_path / "x.pdf", "-"], capture_output=True, check=True)
    told = " ".join(done.stdout.decode().translate(MARKS).split())
    for word in words:
        assert word in told, told[:2000]
