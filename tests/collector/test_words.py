"""Every verdict, technique and placement has its words."""

from __future__ import annotations

from typing import get_args

from probe.collector import words
from probe.model.finding import Access, Hop, Interference, Location, Placement, Technique, Verdict


def test_every_value_of_the_contract_has_words() -> None:
    assert set(words.VERDICTS) == set(get_args(Verdict))
    assert set(words.TECHNIQUES) == set(get_args(Technique))
    assert set(words.PLACEMENTS) == set(get_args(Placement))
    assert set(words.ACCESS) == set(get_args(Access))
    for word in [*words.VERDICTS.values(), *words.TECHNIQUES.values()]:
        assert word.label
        assert word.explained.endswith(".")


def test_a_measurement_of_tomorrow_is_shown_by_its_own_name() -> None:
    assert words.measurement("dns_injection") == "Name lookup"
    assert words.measurement("quic_reset") == "Quic reset"


def test_groups() -> None:
    assert [words.group(name) for name in ("voip", "octenium", "")] == ["Calls", "Octenium", "Other targets"]


def test_a_place_is_always_a_link() -> None:
    assert words.place(None) == ""
    assert words.place(Location(4, 5, Hop("198.18.4.1"), None)) == "between hops 4 and 5"
    assert words.place(Location(4, 5, attribution="inside AS64501")) == "between hops 4 and 5, inside AS64501"
    named = "on the link between hop 4 (198.18.4.1) and hop 5"
    assert words.place(Location(4, 5, attribution=f"{named} (198.18.4.2)")) == f"{named} (198.18.4.2)", "once"
    assert words.place(Location(4, 15, attribution=f"{named} (x)")) == f"between hops 4 and 15, {named} (x)"


def test_technique_of_nothing_is_nothing() -> None:
    assert words.technique(None) is None
    assert words.technique(Interference("tcp_reset")) == words.TECHNIQUES["tcp_reset"]


def test_what_decided_nothing_is_counted() -> None:
    assert [words.unsure(number) for number in (1, 2)] == ["1 was not conclusive", "2 were not conclusive"]


def test_counting() -> None:
    assert [words.count(n, "probe") for n in (0, 1, 2, 1234)] == ["0 probes", "1 probe", "2 probes", "1,234 probes"]
    assert words.count(2, "country", "countries") == "2 countries"
