"""The table: columns that stay, every field where it belongs, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.export import table
from probe.model.finding import Finding
from tests.export.conftest import TECHNIQUES, golden, made
from tests.samples import SAMPLE


def read(*findings: Finding) -> list[dict[str, str]]:
    text = table.header() + "".join(table.row(one, Counter()) for one in findings)
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_every_field_stands_in_its_column() -> None:
    assert read(msgspec.convert(SAMPLE, Finding)) == [{
        "id": "0190a3b2-7c1d-7e2f-8a3b-4c5d6e7f8091", "started_at": "2026-01-02T03:04:05.678Z", "duration_s": "2.5",
        "clock": "synchronised", "probe": "probe-1", "software": "colibri 0.1.0",
        "operator": "Example Telecom", "asn": "64500", "country": "MA", "access": "fixed",
        "measurement": "dns_injection", "version": "1", "target_input": "blocked.example",
        "target_name": "blocked.example", "target_address": "", "target_port": "53", "target_group": "press",
        "verdict": "interfered", "technique": "dns_injection", "placement": "on_path", "clean_ttl": "3",
        "first_ttl": "4", "clean_hop": "198.51.100.1", "clean_hop_asn": "64500", "first_hop": "", "first_hop_asn": "",
        "attribution": "between AS64500 and AS64501", "rule": "dns_injection/answer-from-silent-address",
        "trials_made": "3", "trials_agreed": "3", "controls_made": "6", "controls_agreed": "6", "confidence": "0.99",
        "reasons": "An address that runs no resolver answered 3 of 3 times.", "packets": "12",
        "pcapng_sha256": "0" * 64, "exchanges": "9",
    }]  # fmt: skip


def test_the_columns_stay_and_new_ones_come_last() -> None:
    assert ",".join(table.COLUMNS).startswith(
        "id,started_at,duration_s,clock,probe,software,operator,asn,country,access,measurement,version,target_input,"
        "target_name,target_address,target_port,target_group,verdict,technique,placement,clean_ttl,first_ttl,clean_hop,"
        "clean_hop_asn,first_hop,first_hop_asn,attribution,rule,trials_made,trials_agreed,controls_made,"
        "controls_agreed,confidence,reasons,packets,pcapng_sha256,exchanges"
    )
    assert table.header() == ",".join(table.COLUMNS) + "\r\n"


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_golden_finding_fills_one_row(technique: str) -> None:
    finding = golden(technique)
    (row,) = read(finding)
    assert None not in row
    assert None not in row.values()
    assert (row["verdict"], row["technique"], row["rule"]) == ("interfered", technique, finding.rule)
    assert finding.interference is not None
    assert finding.interference.location is not None
    assert (row["clean_ttl"], row["first_ttl"]) == (
        str(finding.interference.location.clean_ttl), str(finding.interference.location.first_ttl),
    )  # fmt: skip
    assert row["reasons"].split(" | ") == finding.reasons


def test_without_interference_or_place_the_cells_are_empty() -> None:
    clean, unplaced = read(made("voip", {}), made("voip", {}, "voip_media"))
    assert {clean[column] for column in table.COLUMNS[18:27]} == {""}
    assert (unplaced["technique"], unplaced["placement"]) == ("voip_media", "unknown")
    assert {unplaced[column] for column in table.COLUMNS[20:27]} == {""}


def test_what_a_table_has_no_room_for_is_counted() -> None:
    lost: Counter[str] = Counter()
    table.row(msgspec.convert(SAMPLE, Finding), lost)
    table.row(made("voip", {"questions": {}}), lost)
    table.row(made("voip", {}), lost)
    assert lost == {"details: a table is flat": 2, "signature: it covers the JSON, not a row": 1}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('=HYPERLINK("http://x";"y")', '\'=HYPERLINK("http://x";"y")'), ("+1", "'+1"), ("-1", "'-1"), ("@A1", "'@A1"),
        ("  =1", "'  =1"), ("\t=1", "' =1"), ("\r\n=1", "'  =1"), ("＝1", "'＝1"), ("'=1", "''=1"), ("'", "''"),
        ("a=1", "a=1"), ("", ""), (" ", " "), ("two\nlines", "two lines"), ("nul\0", "nul "), ("موقع", "موقع"),
        ("\u00a0=1", "'\u00a0=1"), ("\u200b=1", "'\u200b=1"),
    ],
)  # fmt: skip
def test_no_text_is_taken_for_a_formula(value: str, shown: str) -> None:
    assert table.cell(value) == shown


@given(st.text(max_size=40))
def test_any_text_is_harmless_and_can_be_had_back(value: str) -> None:
    (row,) = read(made("voip", {}, name=value[:256], input="x"))
    shown = row["target_name"]
    assert not any(unicodedata.category(one) == "Cc" for one in shown)
    assert not shown.lstrip(" \u200b\ufeff\u200e\u200f").startswith(tuple("=+-@＝＋－＠"))
    back = shown.removeprefix("'")
    assert back == "".join(" " if unicodedata.category(one) == "Cc" else one for one in value)


def test_the_page_names_the_columns() -> None:
    page = (Path(__file__).parents[2] / "docs/export.md").read_text()
    listed = page.partition("## A table")[2].partition("\n\n`details`")[0]
    assert tuple(re.findall(r"`(\w+)`", listed)) == table.COLUMNS
