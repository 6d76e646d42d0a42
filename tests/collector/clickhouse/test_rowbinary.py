"""Rows to bytes and back, and values in the text of a query."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.clickhouse.rowbinary import chunks, decode, encode, listed, literal

WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
ROWS = st.lists(st.tuples(st.text(), st.binary(max_size=300), WHOLE, st.floats(allow_nan=False)))
BACK = {"\\\\": "\\", "\\'": "'", "\\0": "\x00", "\\n": "\n", "\\r": "\r", "\\t": "\t", "\\b": "\b", "\\f": "\f"}


@given(ROWS)
def test_rows_come_back(rows: list[tuple[str, bytes, int, float]]) -> None:
    assert decode("sbif", encode("sbif", rows)) == rows


def test_it_is_what_the_documentation_says() -> None:
    assert encode("sif", [("é", -2, 0.5)]) == b"\x02\xc3\xa9" + struct.pack("<q", -2) + struct.pack("<d", 0.5)
    assert encode("b", [(b"x" * 300,)])[:2] == b"\xac\x02", "LEB128"
    assert encode("s", []) == b""


@given(ROWS.filter(bool), st.data())
def test_what_is_cut_short_is_said(rows: list[tuple[str, bytes, int, float]], data: st.DataObject) -> None:
    whole = encode("bbif", rows)
    ends = [len(encode("bbif", rows[:n])) for n in range(len(rows))]
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda n: n not in ends))
    with pytest.raises(ValueError, match=r"cut short|not rows"):
        decode("bbif", whole[:cut])


@given(st.binary(), st.text("sbif", min_size=1, max_size=5))
def test_nothing_but_a_value_error_is_raised(data: bytes, kinds: str) -> None:
    try:
        rows = decode(kinds, data)
    except ValueError:
        return
    assert decode(kinds, encode(kinds, rows)) == rows or any(value != value for row in rows for value in row)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        encode("ss", [("a",)])


@given(st.text())
def test_nothing_leaves_a_literal(text: str) -> None:
    quoted = literal(text)
    assert quoted[0] == quoted[-1] == "'"
    inside = quoted[1:-1]
    assert re.fullmatch(r"(?:[^'\\]|\\.)*", inside, re.DOTALL)
    assert re.sub(r"\\.", lambda found: BACK[found[0]], inside, flags=re.DOTALL) == text


def test_lists_of_values_and_of_tuples() -> None:
    assert listed(["a", "b'"]) == r"('a', 'b\'')"
    assert listed([("a", 1), ("b", -2)]) == "(('a', 1), ('b', -2))"
    assert listed([7]) == "(7)"


@given(st.lists(WHOLE), st.integers(1, 9))
def test_chunks_are_the_whole_in_order(values: list[int], size: int) -> None:
    parts = list(chunks(values, size))
    assert [value for part in parts for value in part] == values
    assert all(0 < len(part) <= size for part in parts)
