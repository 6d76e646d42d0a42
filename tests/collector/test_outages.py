"""What failed for everybody, as the embedded store follows it: the same as read anew, whatever came in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from probe.collector import homes_table, schema
from probe.collector.incidents.model import HOUR, Series
from probe.collector.incidents.retold import failing_hours, first_hours
from probe.collector.outages import Outages

CONTROL = {"p-control"}
LINES = [("DZ", "AS1"), ("DZ", "AS2"), ("TN", "AS3")]
TARGETS = ["a", "b"]
PROBES = ["p-control", "p-1", "p-2", "p-3"]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store's tables, with six series of two targets."""
    with closing(schema.open_writer(str(tmp_path / "hours.sqlite3"))) as connection:
        for number, (target, (country, operator)) in enumerate((t, line) for t in TARGETS for line in LINES):
            connection.execute(
                "INSERT INTO series (id, country, operator, access, measurement, target, grouped, named)"
                " VALUES (?, ?, ?, 'fixed', 'blackhole', ?, '', '')", (number, country, operator, target),
            )  # fmt: skip
        yield connection


def series(country: str, target: str) -> Series:
    return Series(country, "AS1", "fixed", "blackhole", target, "ip_blackhole")


def come(db: sqlite3.Connection, random: Random) -> set[tuple[int, int]]:
    """A few results more; the (series, hour) pairs that they are of."""
    touched = set()
    for _ in range(random.randrange(1, 12)):
        number, hour, probe = random.randrange(6), random.randrange(40) * HOUR, random.choice(PROBES)
        what = random.choice(["clean", "down", "ip_blackhole", "inconclusive"])
        db.execute(
            "INSERT INTO hourly VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (series, hour, probe, what)"
            " DO UPDATE SET n = n + 1", (number, hour, probe, what, hour, hour),
        )  # fmt: skip
        touched.add((number, hour))
    return touched


def anew(db: sqlite3.Connection, one: Series) -> frozenset[int]:
    """By the definition."""
    rows = [
        (country, hour, probe, ("clean", "down").index(what) if what in ("clean", "down") else 2)
        for country, hour, probe, what in db.execute(
            "SELECT country, hour, probe, what FROM hourly JOIN series ON id = series"
            " WHERE target = ? AND what <> 'inconclusive'", (one.target,),
        )
    ]  # fmt: skip
    return failing_hours(rows, one.country, CONTROL, homes_table.names(db, first_hours(rows, CONTROL), own=False))


@pytest.mark.parametrize("seed", range(5))
def test_going_on_comes_to_the_same(db: sqlite3.Connection, seed: int) -> None:
    random, some = Random(seed), set[int]()
    outages = Outages(room=random.choice([30, 10_000]))
    for step in range(60):
        with schema.transaction(db):
            touched = come(db, random)
        outages.changed(db, touched)
        if random.random() < 0.05:
            homes_table.put(db, random.choice(PROBES[1:]), random.choice("ab"), step)
        one = series(random.choice(["DZ", "TN"]), random.choice(TARGETS))
        found = outages.failing(db, one, CONTROL, own_homes=False)
        assert found == anew(db, one)
        some |= found
    assert some


def test_what_is_followed_is_not_read_again(db: sqlite3.Connection) -> None:
    outages, asked = Outages(), list[str]()
    hours = [(number * HOUR,) for number in range(50)]
    with schema.transaction(db):
        db.executemany("INSERT INTO hourly VALUES (0, ?, 'p-1', 'ip_blackhole', 1, 0, 0)", hours)
    assert outages.failing(db, series("DZ", "a"), CONTROL, own_homes=False) == frozenset()
    db.set_trace_callback(asked.append)
    outages.changed(db, [(0, HOUR), (3, HOUR)])
    outages.failing(db, series("DZ", "a"), CONTROL, own_homes=False)
    (read,) = [text for text in asked if "FROM hourly" in text]
    assert f"[{HOUR}]" in read
    del asked[:]
    outages.failing(db, series("DZ", "a"), CONTROL, own_homes=False)
    assert not [text for text in asked if "FROM hourly" in text]
    outages.forget()
    outages.failing(db, series("DZ", "a"), CONTROL, own_homes=False)
    assert [text for text in asked if "FROM hourly" in text and "json_each" not in text]
