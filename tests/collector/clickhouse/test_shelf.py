"""What stays in memory, and what goes."""

from __future__ import annotations

from probe.collector.clickhouse.shelf import IDLE, Shelf


class Thing:
    def __init__(self, size: int) -> None:
        self.size = size


def test_what_does_not_fit_goes_and_what_is_in_use_stays() -> None:
    shelf = Shelf[str, Thing](10)
    for name in "abcd":
        shelf.put(name, Thing(3))
    assert shelf.trim() == ["d"]
    for _ in range(3 * IDLE):  # all four are asked for in turn
        for name in "abcd":
            if shelf.get(name) is None:
                shelf.put(name, Thing(3))
        assert shelf.trim() == ["d"]
    assert list(shelf) == ["a", "b", "c"]


def test_what_nobody_asked_for_goes_first() -> None:
    shelf = Shelf[str, Thing](10)
    for name in "abc":
        shelf.put(name, Thing(3))
    for _ in range(IDLE):
        assert shelf.trim() == []
        assert shelf.get("a") is not None
    shelf.put("d", Thing(6))
    assert shelf.trim() == ["b", "c"]
    assert list(shelf) == ["a", "d"]


def test_what_grows_is_seen_and_one_that_is_too_large_is_not_kept() -> None:
    shelf, thing = Shelf[str, Thing](10), Thing(3)
    shelf.put("a", thing)
    assert (shelf.trim(), shelf.get("b")) == ([], None)
    thing.size = 11
    assert shelf.trim() == ["a"]
    shelf.put("b", Thing(1))
    shelf.clear()
    assert len(shelf) == 0
