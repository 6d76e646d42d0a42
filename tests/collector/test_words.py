"""Every verdict, technique and placement has its words."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from markupsafe import Markup

from probe import measurements
from probe.collector import words
from probe.collector.languages.language import load
from probe.model.finding import Access, Hop, Interference, Location, Placement, Technique, Verdict

EN = load("en")


def test_every_value_of_the_contract_has_words() -> None:
    assert set(words.VERDICTS) == set(get_args(Verdict))
    assert set(words.TECHNIQUES) == set(get_args(Technique))
    assert set(words.PLACEMENTS) == set(get_args(Placement))
    assert set(words.ACCESS) == set(get_args(Access))
    for word in [*words.VERDICTS.values(), *words.TECHNIQUES.values()]:
        assert word.label
        assert word.explained.endswith(".")


def test_a_measurement_of_tomorrow_is_shown_by_its_own_name() -> None:
    assert words.measurement("dns_injection", EN) == "Name lookup"
    assert words.measurement("dns_injection", load("fr")) == "Résolution de noms"
    assert words.measurement("quic_reset", load("fr")) == "Quic reset"


def test_every_measurement_that_there_is_has_words() -> None:
    files = Path(measurements.__file__).parent.glob("[a-z]*.py")
    assert {file.stem for file in files} == set(words.MEASUREMENTS)


def test_groups() -> None:
    assert [words.group(name, EN) for name in ("voip", "octenium", "")] == ["Calls", "Octenium", "Other targets"]
    assert words.group("PRESS", load("fr")) == "Presse"


def test_access() -> None:
    assert [words.access(kind, EN) for kind in get_args(Access)] == ["fixed line", "mobile", ""]


def test_a_place_is_always_a_link() -> None:
    assert words.place(None, EN) == ""
    link = words.place(Location(4, 5, Hop("198.18.4.1"), None), EN)
    assert link == Markup("on the link between hop 4 (<bdi>198.18.4.1</bdi>) and hop 5")
    arabic = words.place(Location(4, 1005, Hop("<b>"), Hop("")), load("ar"))
    assert "<bdi>&lt;b&gt;</bdi>" in arabic
    assert "1005" in arabic, "a number, not a quantity"


def test_technique_of_nothing_is_nothing() -> None:
    assert words.technique(None) is None
    assert words.technique(Interference("tcp_reset")) == words.TECHNIQUES["tcp_reset"]
