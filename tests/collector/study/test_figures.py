"""A country's month in figures, from rows."""

from __future__ import annotations

from typing import Any

from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.study.figures import DAY, Figures, figures

SPAN = 31 * DAY


def look(operator: str, good: int, bad: int, target: str = "a", country: str = "MA") -> Look:
    return Look(country, operator, "fixed", "tcp_reset", target, "", good, bad)


def row(operator: str, day: int, what: str = "clean", n: int = 1) -> HistoryRow:
    return HistoryRow(country="MA", operator=operator, named="", access="fixed", measurement="tcp_reset", target="a",
                      start=day * DAY, what=what, n=n, probes=1)  # fmt: skip


def told(looks: list[Look], history: list[HistoryRow], now: int = SPAN, **more: Any) -> Figures:
    allowed = more.pop("allowed", dict.fromkeys("abc", 2))
    return figures("MA", "2026-01", (0, SPAN), looks, history, [], [("2026-01", looks)], now, allowed)


def test_who_is_worst_stands_first() -> None:
    found = told([look("b", 3, 1), look("a", 4, 0), look("c", 0, 2)], [])
    assert [one.key for one in found.operators] == ["c", "b", "a"]


def test_one_home_hides_an_operator_from_everything() -> None:
    found = told([look("a", 1, 0), look("a", 0, 1, "b")], [row("a", 1, "tcp_reset", 5)])
    assert (found.operators, found.techniques, found.trend, found.hidden) == ([], [], [], 1)
    shown = told([look("a", 1, 0)], [row("a", 1, "tcp_reset", 5)], allowed={"a": 1})
    assert [one.key for one in shown.operators] == ["a"]
    assert shown.hidden == 0
    # Two probes that are one home, as the crowd knows and the looks don't.
    assert told([look("a", 2, 0)], [], allowed={}).hidden == 1


def test_an_operator_of_which_only_doubtful_results_came_is_hidden_and_counted() -> None:
    found = told([look("a", 2, 0)], [row("b", 1, "inconclusive")])
    assert found.hidden == 1


def test_results_by_kind_and_days_of_silence() -> None:
    results = [(0, "clean", 4), (1, "tcp_reset", 3), (1, "down", 2), (2, "inconclusive", 1)]
    history = [row("a", day, what, n) for day, what, n in results]
    (one,) = told([look("a", 2, 0)], history).operators
    assert (one.made, one.bad, one.down, one.unsure, one.silent) == (10, 3, 2, 1, 28)
    (one,) = told([look("a", 2, 0)], history, now=4 * DAY).operators
    assert one.silent == 1  # the rest is still to come


def test_other_countries_are_others() -> None:
    found = told([look("a", 5, 0, country="FR")], [])
    assert (found.operators, found.hidden) == ([], 0)
