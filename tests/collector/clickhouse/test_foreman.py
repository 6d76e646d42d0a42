"""The thread that settles: it tells of changes, survives a store that is away, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from probe.collector.clickhouse.foreman import Foreman, name
from probe.model.errors import StoreError

Until = Callable[..., None]


class Numbers:
    """The link as far as the thread asks it: two numbers."""

    database = cluster = ""
    hosts, modern = 1, True

    def __init__(self) -> None:
        self.change, self.gone = 0, False

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:  # noqa: ARG002
        if self.gone:
            raise StoreError("out of reach")
        return [(self.change if "cells" in query else 0,)]


class Settling:
    def __init__(self, numbers: Numbers) -> None:
        self.numbers, self.begun, self.work = numbers, 0, 0
        self.error: Exception | None = None

    def begin(self) -> None:
        self.begun += 1

    def settle(self) -> bool:
        if self.error is not None:
            raise self.error
        if not self.work:
            return False
        self.work -= 1
        self.numbers.change += 1
        return True


class Having:
    def __init__(self) -> None:
        self.has, self.released = True, False

    def held(self) -> bool:
        return self.has

    def release(self) -> None:
        self.released = True


@pytest.fixture
def parts() -> tuple[Numbers, Settling, Having, list[int]]:
    numbers = Numbers()
    return numbers, Settling(numbers), Having(), []


def foreman(parts: tuple[Numbers, Settling, Having, list[int]]) -> Foreman:
    numbers, settling, having, told = parts
    return Foreman(numbers, settling, having, lambda: told.append(numbers.change), 0.01)  # type: ignore[arg-type]


def test_who_has_the_lease_settles_and_who_has_not_only_watches(
    parts: tuple[Numbers, Settling, Having, list[int]]
) -> None:
    numbers, settling, having, told = parts
    one = foreman(parts)
    settling.work = 2
    assert [one.turn(), one.turn(), one.turn()] == [True, True, False]
    assert (told, settling.begun, one.settles) == ([1, 2], 1, True)
    having.has = False
    numbers.change, settling.work = 9, 5
    assert not one.turn()
    assert (told, settling.work, one.settles) == ([1, 2, 9], 5, False)
    having.has = True
    one.turn()
    assert settling.begun == 2, "what was remembered may be old"


def test_a_store_that_is_away_is_waited_for(parts: tuple[Numbers, Settling, Having, list[int]], until: Until) -> None:
    numbers, settling, having, told = parts
    one = foreman(parts)
    numbers.gone = True
    one.start()
    until(lambda: one.trouble == "out of reach", "the trouble is told")
    numbers.gone, settling.work = False, 1
    until(lambda: told[-1:] == [1] and not one.trouble, "it goes on")
    one.stop()
    assert having.released


def test_what_nobody_foresaw_is_said(
    parts: tuple[Numbers, Settling, Having, list[int]], until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    one = foreman(parts)
    parts[1].error = ZeroDivisionError("oh")
    one.start()
    until(lambda: "settling died: ZeroDivisionError" in one.trouble, "the trouble is told")
    one.stop()
    assert "settling died" in caplog.text


def test_names_differ() -> None:
    assert name() != name()
