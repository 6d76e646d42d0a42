"""How everybody fared: homes, not probes, are counted."""

from __future__ import annotations

from probe.collector import fared
from probe.collector.incidents.cases import MOSTLY, Look
from probe.collector.incidents.homes import Stay
from probe.collector.incidents.model import HOUR

SERIES = {7: ("MA", "AS64501", "fixed", "voip", "calls.example", "voip")}
MONTH = 30 * 24 * HOUR


def count(*hours: tuple[str, int, int], **home_of: str) -> tuple[int, int]:
    """(good, bad) of one series' hours (probe, seen, bad)."""
    (look,) = fared.looks([(7, *one) for one in hours], SERIES, home_of)
    return look.good, look.bad


def test_a_home_saw_it_work_if_it_did_nearly_all_the_time() -> None:
    bad = round(100 * (1 - MOSTLY))
    assert count(("a", 100, 0), ("b", 100, bad), ("c", 100, bad + 1), ("d", 1, 1)) == (2, 2)


def test_ten_probes_in_one_home_are_one_word() -> None:
    crowd = [(f"p{n}", 10, 10) for n in range(10)]
    assert count(*crowd, ("x", 10, 0), ("y", 10, 0)) == (2, 10)
    assert count(*crowd, ("x", 10, 0), ("y", 10, 0), **{f"p{n}": "~one" for n in range(10)}) == (2, 1)


def test_the_hours_of_a_homes_probes_are_added_up() -> None:
    assert count(("a", 90, 0), ("b", 10, 10), a="~h", b="~h") == (1, 0)
    assert count(("a", 80, 0), ("b", 20, 20), a="~h", b="~h") == (0, 1)


def test_series_are_told_whole_and_in_order() -> None:
    series = {1: ("MA", "b", "fixed", "voip", "t", ""), 2: ("MA", "a", "mobile", "voip", "t", "g"), 3: ("X",) * 6}
    assert fared.looks([(1, "p", 1, 0), (2, "p", 1, 1)], series, {}) == [
        Look("MA", "a", "mobile", "voip", "t", "g", 0, 1), Look("MA", "b", "fixed", "voip", "t", "", 1, 0),
    ]  # fmt: skip
    assert fared.looks([], series, {}) == []


def test_those_who_were_behind_one_prefix_lately_are_one_home() -> None:
    until = 10 * MONTH
    stays = [Stay("a", "h1", 0, 1 << 62), Stay("b", "h1", until - HOUR, 1 << 62), Stay("c", "h2", 0, 1 << 62)]
    names = fared.homes("abcde", stays, until, own=False)
    assert names["a"] == names["b"] != names["c"]
    assert names["d"] == names["e"], "those of whom the broker did not tell are one"
    own = fared.homes("abcde", stays, until, own=True)
    assert own["d"] != own["e"]
    assert fared.homes("abcde", [], until, own=False) == {}, "nobody is told apart"


def test_who_shared_a_prefix_long_ago_does_not_any_more() -> None:
    until = 10 * MONTH
    moved = [Stay("a", "h1", 0, MONTH), Stay("a", "h2", MONTH, 1 << 62), Stay("b", "h1", 0, 1 << 62)]
    names = fared.homes("ab", moved, until, own=False)
    assert names["a"] != names["b"]
