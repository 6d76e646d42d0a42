"""Networks are named from a table on the device: longest match, careful words, and a broken table loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.engine.networks import look_up, name_networks, networks_of
from probe.model.errors import ConfigError
from probe.model.finding import Hop, Interference, Judgement, Location, Target

TABLE = """\
# made from a routing table
198.18.0.0/15   AS64500 Transit
198.18.30.0/24  64503   Sale Mobile
2001:db8:30::/48 AS64503 Sale Mobile
198.19.0.0/24 64500
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "prefixes"
    path.write_text(TABLE)
    return str(path)


def judgement(clean: str, first: str) -> Judgement:
    words = "on the link between hop 2 and hop 3"
    location = Location(2, 3, Hop(clean), Hop(first), words)
    return Judgement(
        verdict="interfered", rule="r", target=Target("x"), interference=Interference("tcp_reset", "on_path", location),
        reasons=[f"It happens {words} (seen 3 times)."],
    )  # fmt: skip


def test_an_operators_networks_are_joined(table: str) -> None:
    with Path(table).open("a") as more:
        more.write("198.18.31.0/24 64503\n")
    assert networks_of(table, 64503) == ["198.18.30.0/23", "2001:db8:30::/48"]
    assert networks_of(table, 64999) == []


def test_the_longest_prefix_counts(table: str) -> None:
    found = look_up(table, ["198.18.30.3", "198.18.1.1", "2001:db8:30::3", "203.0.113.1"])
    assert found == {
        "198.18.30.3": (64503, "Sale Mobile"),
        "198.18.1.1": (64500, "Transit"),
        "2001:db8:30::3": (64503, "Sale Mobile"),
    }


@pytest.mark.parametrize(
    ("clean", "first", "words"),
    [
        ("198.18.30.2", "198.18.30.3", ", both numbered from AS64503 (Sale Mobile)"),
        ("198.18.30.5", "198.19.0.1", ", from AS64503 (Sale Mobile) towards AS64500"),
        ("", "198.18.30.2", ", entering addresses of AS64503 (Sale Mobile)"),
        ("198.18.30.2", "", ", leaving addresses of AS64503 (Sale Mobile)"),
    ],
)
def test_the_words_say_whose_addresses_they_are_and_blame_none(table: str, clean: str, first: str, words: str) -> None:
    named = name_networks(judgement(clean, first), table)
    assert named.interference is not None
    location = named.interference.location
    assert location is not None
    assert location.attribution == "on the link between hop 2 and hop 3" + words
    assert named.reasons == [f"It happens {location.attribution} (seen 3 times)."]
    assert (location.clean_hop, location.first_hop) == (
        Hop(clean, 64503 if clean else 0),
        Hop(first, 64500 if first == "198.19.0.1" else 64503 if first else 0),
    )


def test_what_is_in_no_prefix_stays_as_it_is(table: str) -> None:
    before = judgement("192.0.2.1", "192.0.2.2")
    assert name_networks(before, table) == before
    assert name_networks(before, "") == before


@pytest.mark.parametrize("line", ["198.18.0.0/15", "198.18.0.0/15 AS-1", "nonsense 5 x", "198.18.0.1/15 5"])
def test_a_broken_table_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "prefixes"
    path.write_text(f"192.0.2.0/24 1 ok\n{line}\n")
    with pytest.raises(ConfigError, match=r"prefixes:2: not `prefix AS-number name`"):
        look_up(str(path), ["192.0.2.1"])


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        look_up(str(tmp_path / "none"), ["192.0.2.1"])
