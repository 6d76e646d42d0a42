"""The tables as CSV."""

from __future__ import annotations

import csv
import io

from probe.collector.study.gather import gather
from probe.collector.study.tables import tables
from tests.collector.conftest import Desk
from tests.collector.study.conftest import NOW


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_every_table_says_what_the_figures_say(filled: Desk) -> None:
    figures = gather(filled.reader, "2026-02", "MA", NOW)
    found = {name: read(data) for name, data in tables(figures)}
    assert found.keys() == {"operators.csv", "techniques.csv", "incidents.csv", "trend.csv"}
    first = found["operators.csv"][0]
    assert (first["asn"], first["operator"]) == ("AS64501", "Atlas Telecom")
    assert (first["pairs"], first["pairs_cut"]) == ("6", "3")
    assert float(first["share_low_95"]) < 0.5 < float(first["share_high_95"])
    assert [row["results"] for row in found["techniques.csv"]] == ["90"]
    (incident,) = found["incidents.csv"]
    assert incident["id"] == figures.incidents[0].id
    # To the minute: a second could tell which home it was.
    assert incident["began_by"].startswith("2026-02-10T00:0")
    assert incident["began_by"].endswith(":00.000Z")
    assert [row["pairs_cut"] for row in found["trend.csv"] if row["asn"] == "AS64501"] == ["0", "3"]


def test_no_cell_is_a_formula(filled: Desk) -> None:
    figures = gather(filled.reader, "2026-02", "MA", NOW, {"64504-0"})
    names = [row["operator"] for row in read(dict(tables(figures))["operators.csv"])]
    assert "'=Lone()" in names
    assert "=Lone()" not in names
