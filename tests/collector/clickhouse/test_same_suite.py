"""One suite for both stores: whatever is asked of the embedded one is asked of ClickHouse, function by function.

A test of the embedded store that uses its desk is taken over as it is written there. Left out are those that look into
the file itself; each is named here, with what stands for it.
"""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from tests.collector import (
    test_captures,
    test_casebook,
    test_heartbeats_table,
    test_history,
    test_homes_table,
    test_quarantine,
    test_rollup,
    test_sqlite_batch,
    test_sqlite_reader,
    test_sqlite_search,
    test_sqlite_store,
    test_store,
    test_verdicts,
)

SUITES = (
    test_captures, test_casebook, test_heartbeats_table, test_history, test_homes_table, test_quarantine, test_rollup,
    test_sqlite_batch, test_sqlite_reader, test_sqlite_search, test_sqlite_store, test_store, test_verdicts,
)  # fmt: skip
OF_THE_FILE = {
    "test_a_failing_disk_stores_nothing_of_the_batch_and_says_so": "test_store: what dies half-way is sent again",
    "test_invented_targets_can_not_make_the_page_endless": "test_reader",
    "test_a_reader_that_is_closed_says_so": "test_link: a server that is away",
    "test_an_older_database_gets_its_crowd": "there is none",
    "test_the_newest_page_is_all_that_is_read": "an index of SQLite's",
    "test_whichever_way_is_taken_the_same_is_found": "an index of SQLite's",
    "test_few_are_one_in_fifty": "an index of SQLite's",
    "test_where_nothing_happens_nothing_is_computed": "test_telling",
}
pytestmark = [pytest.mark.long, pytest.mark.loopback]


def taken(module: ModuleType) -> list[str]:
    """The names of a suite's tests that ask a desk, and nothing but a desk."""
    source = {name: inspect.getsource(test) for name, test in vars(module).items() if name.startswith("test_")}
    return [
        name for name, text in source.items()
        if {"desk", "desks"} & inspect.signature(getattr(module, name)).parameters.keys()
        and name not in OF_THE_FILE
        and not re.search(r"sqlite3\.|\brows\(", text)  # reads its tables
    ]  # fmt: skip


def is_fixture(value: object) -> bool:
    return type(value).__name__ == "FixtureFunctionDefinition"


for suite in SUITES:
    for name in taken(suite):
        globals()[f"{name}__{suite.__name__.rpartition('.')[2]}"] = getattr(suite, name)
    # A fixture of a suite's own makes what its tests ask for; two of one name would hide each other.
    for name, value in vars(suite).items():
        if is_fixture(value):
            assert name not in globals(), f"{suite.__name__} and another suite have a fixture {name}"
            globals()[name] = value


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__.rpartition(".")[2])
def test_every_suite_gives_some(suite: ModuleType) -> None:
    assert taken(suite)


def test_what_is_left_out_is_there() -> None:
    names = {name for module in SUITES for name in vars(module)}
    assert OF_THE_FILE.keys() <= names
