"""What is asked of a store, as values."""

from __future__ import annotations

from probe.collector.search import MOST, Place, Search


def test_a_search_asks_for_nothing_but_operators_by_default() -> None:
    search = Search(operators=frozenset())
    assert (search.target, search.measurement, search.verdict, search.since, search.until) == ("", "", None, None, None)
    assert search.after is None
    assert 0 < search.limit <= MOST


def test_searches_are_equal_by_value() -> None:
    assert Search(operators=frozenset(), after=Place(1, "a")) == Search(operators=frozenset(), after=Place(1, "a"))
