"""What was read outlives the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from probe.collector.counters.ledger import Host, Ledger, Page, Reading
from probe.collector.counters.numbers import Count
from probe.model.errors import StoreError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "findings.sqlite3")


@pytest.fixture
def ledger(path: str) -> Iterator[Ledger]:
    with closing(Ledger(path)) as ledger:
        yield ledger


def test_readings_pages_and_hosts_are_kept(path: str) -> None:
    page, host = Page("e", "m", 60, 2, "t"), Host(5, 6, "User-agent: *", 7)
    with closing(Ledger(path)) as ledger:
        ledger.put("fans", "url", page, 1000, Count(12300, 100))
        ledger.put("fans", "url", page, 2000)
        ledger.put("fans", "url", page, 3000, Count(12400, 100))
        ledger.put_host("a.example", host)
    with closing(Ledger(path)) as ledger:
        assert ledger.readings("fans", 0) == [Reading(1000, 12300, 100), Reading(3000, 12400, 100)]
        assert ledger.readings("fans", 1001) == [Reading(3000, 12400, 100)]
        assert ledger.last("fans") == Reading(3000, 12400, 100)
        assert ledger.page("fans", "url") == page
        assert ledger.host("a.example") == host


def test_nothing_is_known_of_what_is_new(ledger: Ledger) -> None:
    assert (ledger.readings("x", 0), ledger.last("x"), ledger.page("x", "url"), ledger.host("x")) == (
        [], None, Page(), Host(),
    )  # fmt: skip


def test_another_place_on_the_page_forgets_its_validators_and_no_reading(ledger: Ledger) -> None:
    ledger.put("fans", "url (a)", Page("e"), 1000, Count(5))
    assert ledger.page("fans", "url (b)") == Page()
    assert ledger.last("fans") == Reading(1000, 5)


def test_a_ledger_that_can_not_be_written_says_so(ledger: Ledger, path: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE counter_hosts")
    with pytest.raises(StoreError, match="counters can't be read or written"):
        ledger.host("a.example")
