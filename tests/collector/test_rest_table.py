"""Lists as tables: whole, in order, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from probe.collector.rest_table import FINDINGS, INCIDENTS, STATES, Table
from probe.collector.rest_types import FindingItem
from probe.model import feed
from probe.model.errors import UsageError
from tests.samples import SAMPLE

FINDING = msgspec.convert(
    {**{name: SAMPLE[name] for name in ("id", "measurement", "target", "line", "verdict", "interference")},
     "cell": "0123456789abcdef", "probe": "p-1", "at": None, "received_at": SAMPLE["started_at"],
     "has_evidence": True}, FindingItem,
)  # fmt: skip
CLEAN = msgspec.structs.replace(FINDING, verdict="clean", interference=None, at=SAMPLE["started_at"])
NAMES: Table[str] = Table(("name", "text", lambda name: name), ("length", "int", len))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_findings_as_csv() -> None:
    first, second = rows("".join(FINDINGS.csv([[FINDING], [CLEAN]])))
    assert (first["at"], first["clean_ttl"], first["technique"]) == ("", "3", "dns_injection")
    assert first["has_evidence"] == "true"
    assert (first["country"], first["asn"], first["target"]) == ("MA", "64500", "blocked.example")
    assert (second["at"], second["clean_ttl"], second["technique"]) == (SAMPLE["started_at"], "", "")


def test_a_table_of_nothing_has_its_header() -> None:
    assert "".join(INCIDENTS.csv([])).startswith("id,country,operator,access,measurement,target,technique,state,")
    assert "".join(STATES.csv([[]])) == ",".join(STATES.names) + "\r\n"


def test_each_page_is_a_piece_and_none_is_read_ahead() -> None:
    read = []

    def pages() -> object:
        for page in ("a", "b"):
            read.append(page)
            yield [page]

    pieces = NAMES.csv(pages())  # type: ignore[arg-type]
    next(pieces)
    assert read == []
    assert next(pieces) == "a,1\r\n"
    assert read == ["a"]


@pytest.mark.parametrize("text", ["=1+1", "+49", "-1", "@x", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert rows("".join(NAMES.csv([[text]])))[0]["name"] == f"'{text}"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_comes_back(names: list[str]) -> None:
    back = [row["name"] for row in rows("".join(NAMES.csv([names])))]
    assert back == [f"'{name}" if name[:1] in tuple("=+-@\t\r") else name for name in names]


def test_an_incident_s_parts_stay_readable() -> None:
    incident = feed.PublicIncident(
        id="0123456789abcdef", country="MA", operator="AS64501", access="mobile", measurement="voip", target="x",
        technique="voip_stun", state="open", began=feed.PublicBounds(None, SAMPLE["started_at"]), ended=None, homes=2,
        heard=3, dissent=0, share=0.5, hours=[], intermittent=False, sure=0.2, silent=[],
        exemptions=[feed.PublicExemption(1, SAMPLE["started_at"], None)],
    )  # fmt: skip
    (row,) = rows("".join(INCIDENTS.csv([[incident]])))
    assert (row["began_after"], row["began_until"], row["ended_after"]) == ("", SAMPLE["started_at"], "")
    assert msgspec.json.decode(row["exemptions"], type=list[feed.PublicExemption]) == incident.exemptions


def test_parquet_holds_the_same_with_types() -> None:
    file = io.BytesIO(b"".join(FINDINGS.parquet([[FINDING], [CLEAN, CLEAN]])))
    table = parquet.read_table(file)
    assert table.column_names == FINDINGS.names
    assert table.column("first_ttl").to_pylist() == [4, None, None]
    assert table.column("has_evidence").to_pylist() == [True, True, True]
    assert parquet.ParquetFile(file).num_row_groups == 2


def test_an_empty_parquet_has_its_columns() -> None:
    assert parquet.read_table(io.BytesIO(b"".join(STATES.parquet([])))).column_names == STATES.names


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"^Parquet needs pyarrow on the collector: pip install .*\[parquet\]'$"):
        FINDINGS.parquet([])
