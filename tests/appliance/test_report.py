"""The file on the card: always of one size, in three languages, in plain words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.appliance.report import SIZE, Report, render
from probe.appliance.settings import Mistake

TEXT = st.text(max_size=400)


def test_a_new_card_and_a_good_one_and_a_bad_one_are_of_one_size() -> None:
    mistake = Mistake("colibri.toml", "unknown", "wifi.sid", "", "ssid")
    reports = [None, Report("0.1.7", "colibri"), Report("0.1.7", "colibri", [mistake], True, ["password", "data_lost"])]
    assert {len(render(report)) for report in reports} == {SIZE}


def test_a_mistake_is_told_in_plain_words() -> None:
    mistake = Mistake("colibri.toml", "unreadable", "7", "Invalid value (at line 7, column 8)")
    text = render(Report("0.1.7", "colibri", [mistake], former=True)).decode("utf-8-sig")
    assert "colibri.toml, ligne 7 : illisible." in text
    assert "colibri.toml, line 7: can't be read." in text
    assert "السطر 7" in text
    assert "goes on with the last correct settings" in text
    assert "is correct" not in text


def test_it_opens_in_notepad() -> None:
    data = render(None)
    assert data.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in data
    assert b"\n" not in data.rstrip(b"\n").replace(b"\r\n", b"")


@given(st.lists(st.builds(Mistake, TEXT, st.sampled_from(["unreadable", "unknown", "value"]), TEXT, TEXT), max_size=2))
def test_any_mistake_fits(mistakes: list[Mistake]) -> None:
    cut = [Mistake("colibri.toml", one.kind, one.where, one.what, one.near) for one in mistakes]
    assert len(render(Report("1.2", "colibri", cut))) == SIZE
