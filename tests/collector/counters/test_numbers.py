"""Counts as people write them: read right, or refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.counters.numbers import MOST, Count, of_json, parse
from probe.model.errors import MalformedRecord


@pytest.mark.parametrize(
    ("text", "value", "step"),
    [
        ("0", 0, 1),
        ("7", 7, 1),
        ("12345", 12345, 1),
        ("000123", 123, 1),
        (" 12 345 ", 12345, 1),
        ("12,345", 12345, 1),
        ("12.345", 12345, 1),
        ("12'345", 12345, 1),
        ("12’345", 12345, 1),
        ("12\u00a0345", 12345, 1),
        ("12\u202f345\u00a0678", 12345678, 1),
        ("1.234.567", 1234567, 1),
        ("1,234,567", 1234567, 1),
        ("١٢٣٤٥", 12345, 1),
        ("١٢٬٣٤٥", 12345, 1),
        ("١٢،٣٤٥", 12345, 1),
        ("۱۲۳", 123, 1),
        ("\u200f١٢٬٣٤٥\u200e", 12345, 1),
        ("12.3k", 12300, 100),
        ("12,3k", 12300, 100),
        ("12 K", 12000, 1000),
        ("1.2M", 1200000, 100000),
        ("1,25 M", 1250000, 10000),
        ("3 millions", 3000000, 1000000),
        ("1 234 k", 1234000, 1000),
        ("2,5 Md", 2500000000, 10**8),
        ("1.2 billion", 1200000000, 10**8),
        ("٤٥ ألف", 45000, 1000),
        ("١٫٢ مليون", 1200000, 100000),
        ("3 MILLIONS", 3000000, 10**6),
        ("1.234.567 k", 1234567000, 1000),
        ("0.5M", 500000, 100000),
        ("1 234,5 k", 1234500, 100),
    ],
)
def test_read_right(text: str, value: int, step: int) -> None:
    assert parse(text) == Count(value, step)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "-5",
        "+5",
        "12.34",
        "1234,567",
        "12,3456",
        "0,123",
        "0.123",
        "1,234.567",
        "1.234,567",
        "12,34,567",
        "12.345k",
        "1,234M",
        "1.2m",
        "3b",
        "12 lakh",
        "12%",
        "12/5",
        "1e5",
        "12k+",
        "k",
        "12 345 67",
        "1  234",
        "1..234",
        "12٣",
        "1,2,3 k",
        "1.2.3 M",
        "12.34567 M",
        "9" * 16,
        "9999999 milliards",
        "1 234 567,8",
        "½",
        "Ⅻ",
        "一",
        "12.",
        ".5",
        "0.0005k",
        "1" * 65,
    ],
)
def test_refused_with_the_text_and_a_reason(text: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        parse(text)
    assert caught.value.where == repr(text[:64])
    assert caught.value.what


@given(st.integers(0, MOST), st.sampled_from([" ", ",", ".", "'", "\u202f", "\u00a0", "٬"]))
def test_any_grouping_of_any_count(value: int, separator: str) -> None:
    assert parse(f"{value:,}".replace(",", separator)).value == value


@given(st.integers(0, MOST))
def test_any_script(value: int) -> None:
    assert parse("".join(chr(0x0660 + int(digit)) for digit in str(value))).value == value


@given(st.integers(0, 999), st.integers(0, 9), st.sampled_from([".", ","]))
def test_a_rounded_count_says_to_what(whole: int, tenth: int, mark: str) -> None:
    assert parse(f"{whole}{mark}{tenth}k") == Count(whole * 1000 + tenth * 100, 100)


@given(st.text(st.sampled_from("0123456789٠١٢ .,'٬٫kKMm-"), max_size=20) | st.text(max_size=30))
def test_any_text_is_a_count_or_refused(text: str) -> None:
    try:
        count = parse(text)
    except MalformedRecord:
        return
    assert 0 <= count.value <= MOST
    assert count.step >= 1
    assert count.value % count.step == 0


@pytest.mark.parametrize(("value", "count"), [(5, 5), (5.0, 5), ("12,345", 12345), (0, 0), (MOST, MOST)])
def test_numbers_of_json(value: object, count: int) -> None:
    assert of_json(value).value == count


@pytest.mark.parametrize(
    "value", [True, False, None, [], {}, -1, 1.5, math.inf, -math.inf, math.nan, MOST + 1, 1e300, "x"], ids=repr
)
def test_what_is_no_count_in_json(value: object) -> None:
    with pytest.raises(MalformedRecord):
        of_json(value)
