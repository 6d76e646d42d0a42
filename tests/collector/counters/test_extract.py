"""From an answer to the number: JSON Pointers, patterns, character sets, and everything that is not there."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.counters import extract
from probe.collector.counters.extract import check, count, from_json, text
from probe.collector.counters.numbers import Count
from probe.model.config import CounterConfig
from probe.model.errors import ConfigError, MalformedRecord


def config(**fields: Any) -> CounterConfig:
    return CounterConfig(name="fans", url="https://a.example/", **fields)


def read(page: str | bytes, pattern: str, content_type: str = "text/html") -> Count:
    body = page.encode() if isinstance(page, str) else page
    return asyncio.run(count(config(pattern=pattern), body, content_type))


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/data/0/fans", 12345), ("/a~1b", 1), ("/m~0n", 2), ("/", 3), ("/text", 45000), ("/data/1", 9)],
)
def test_json_pointers(pointer: str, value: int) -> None:
    body = msgspec.json.encode({"data": [{"fans": 12345}, 9], "a/b": 1, "m~n": 2, "": 3, "text": "45 ألف"})
    assert from_json(body, pointer).value == value


@pytest.mark.parametrize(
    "pointer", ["/data/2", "/data/-1", "/data/01", "/data/x", "/nothing", "/data/0/fans/x", "/data"]
)
def test_what_a_pointer_does_not_lead_to(pointer: str) -> None:
    with pytest.raises(MalformedRecord):
        from_json(b'{"data": [{"fans": 1}, 9]}', pointer)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b'{"a": 1e999}', b'{"a": NaN}'])
def test_what_is_no_json_or_no_number(body: bytes) -> None:
    with pytest.raises(MalformedRecord):
        from_json(body, "/a")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    st.text(max_size=20),
)
def test_any_json_and_any_pointer_are_a_count_or_refused(value: Any, pointer: str) -> None:
    try:
        found = from_json(msgspec.json.encode(value), f"/{pointer}")
    except MalformedRecord:
        return
    assert found.value >= 0


def test_patterns_on_a_page() -> None:
    assert read("<b>12&nbsp;345</b> fans", r"<b>([^<]+)</b> fans") == Count(12345)
    assert read("<b>12,3 k</b> fans", r"<b>([^<]+)</b>") == Count(12300, 100)
    with pytest.raises(MalformedRecord, match="matches nothing"):
        read("<b>x</b>", r"(\d+) fans")
    with pytest.raises(MalformedRecord, match="several: '1', '2'"):
        read("1 fans 2 fans", r"(\d+) fans")
    with pytest.raises(MalformedRecord, match="no count"):
        read("many fans", r"(\w+) fans")


def test_a_pattern_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "SECONDS", 0.3)
    with pytest.raises(MalformedRecord, match=r"took more than 0\.3 s"):
        read("a" * 5000, r"((a+)+)b".replace("((a+)+)", "((?:a+)+)"))


def test_character_sets() -> None:
    assert text("é".encode("latin-1"), "text/html; charset=ISO-8859-1") == "é"
    assert text("é".encode(), "text/html") == "é"
    assert text("é".encode(), "text/html; charset=nonsense") == "é"
    assert text(b"\xff5", "") == "\ufffd5"
    assert text("١٢".encode("windows-1256", "replace"), "text/html; charset=utf-8\r\nX: y") != ""


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, "x"),
        ({"pattern": "(a)", "json": "/a"}, "x"),
        ({"json": "data.fans"}, r"x\.json"),
        ({"pattern": "(a"}, r"x\.pattern"),
        ({"pattern": "a"}, r"x\.pattern"),
        ({"pattern": "(a)(b)"}, r"x\.pattern"),
    ],
)
def test_a_configuration_that_names_no_place_is_refused(fields: dict[str, str], where: str) -> None:
    with pytest.raises(ConfigError, match=f"^{where}: "):
        check(config(**fields), "x")


def test_one_that_does_is_not() -> None:
    check(config(pattern=r"(\d+)"), "x")
    check(config(json="/a"), "x")
