"""Parameters of the API: understood, or refused in one line that names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import instants, rest_query
from probe.collector.rest_query import Query, parse
from probe.collector.search import Place
from probe.model.errors import UsageError
from probe.model.finding import Line

ALL = (
    "country", "operator", "target", "measurement", "verdict", "state", "since", "until", "cursor", "limit", "format",
)  # fmt: skip
NOON = instants.from_text("2026-03-01T12:00:00.000Z")


def test_nothing_asks_for_the_first_page_in_json() -> None:
    assert parse([], ALL) == Query(format="json", limit=100)


def test_all_of_them() -> None:
    parameters = {
        "country": "MA", "operator": "AS64501", "target": "https://a.example/?b=c", "measurement": "dns_injection",
        "verdict": "interfered", "state": "open", "since": "2026-03-01", "until": "2026-03-01T13:00:00+01:00",
        "cursor": "1772366400000~0123456789abcdef", "limit": "7", "format": "csv",
    }  # fmt: skip
    assert parse(parameters.items(), ALL) == Query(
        format="csv", country="MA", operator="AS64501", target="https://a.example/?b=c", measurement="dns_injection",
        verdict="interfered", state="open", since=NOON - instants.DAY // 2, until=NOON,
        cursor=Place(1772366400000, "0123456789abcdef"), limit=7,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("country", "ma", "country: 'ma' is not two capital letters"),
        ("measurement", "../etc", "measurement: '../etc' is not a name of a measurement"),
        ("verdict", "blocked", "verdict: 'blocked' is none of clean, interfered, down, inconclusive"),
        ("state", "suspected", "state: 'suspected' is none of open, closed"),
        ("since", "yesterday", "since: 'yesterday' is no date or time"),
        ("since", "0001-01-01T00:00:00+23:59", "since: '0001-01-01T00:00:00\\+23:59' is no date or time"),
        ("until", "1969-12-31", "until: '1969-12-31' is not between 1970 and 9999"),
        ("cursor", "1~x", "cursor: '1~x' is not one that `next` gave"),
        ("limit", "0", "limit: '0' is not a number from 1 to 1000"),
        ("limit", "٣", "limit: '٣' is not a number"),
        ("format", "xml", "format: 'xml' is none of json, csv, parquet"),
        ("target", "x" * 1025, "target: longer than 1024 characters"),
        ("contry", "MA", "there is no parameter 'contry' here; there are: country, operator"),
    ],
)
def test_what_can_not_be_is_refused_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        parse([(name, text)], ALL)


def test_twice_is_once_too_often() -> None:
    with pytest.raises(UsageError, match=r"^limit: given twice$"):
        parse([("limit", "1"), ("limit", "2")], ALL)


def test_a_time_that_runs_backwards() -> None:
    with pytest.raises(UsageError, match=r"^until: lies before since$"):
        parse([("since", "2026-03-02"), ("until", "2026-03-01")], ALL)


def test_only_what_the_route_knows() -> None:
    with pytest.raises(UsageError, match=r"no parameter 'state' here; there are: target, limit$"):
        parse([("state", "open")], ("target", "limit"))


@pytest.mark.parametrize(
    ("accept", "due"),
    [
        ("", "json"), ("*/*", "json"), ("text/csv", "csv"), ("text/html, text/csv;q=0.9", "csv"),
        ("application/vnd.apache.parquet", "parquet"), ("application/json, text/csv", "json"), (",;,", "json"),
    ],
)  # fmt: skip
def test_the_format_by_what_is_accepted(accept: str, due: str) -> None:
    assert parse([], ALL, accept).format == due
    assert parse([("format", "csv")], ALL, accept).format == "csv"


def test_tables_are_whole_unless_a_limit_is_given() -> None:
    assert parse([], ALL, "text/csv").limit is None
    assert parse([("limit", "5")], ALL, "text/csv").limit == 5


def test_zz_is_the_unknown_country() -> None:
    assert parse([("country", "ZZ")], ALL).country == ""


@given(st.lists(st.tuples(st.sampled_from(ALL), st.text()), max_size=4), st.text())
def test_whatever_comes_is_understood_or_refused(parameters: list[tuple[str, str]], accept: str) -> None:
    try:
        query = parse(parameters, ALL, accept)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either may happen
    else:
        assert query.limit is None or 1 <= query.limit <= 1000


@given(st.integers(0, 10**15 - 1), st.uuids())
def test_a_cursor_comes_back_as_the_place_it_stands_for(time: int, name: object) -> None:
    place = Place(time, str(name))
    assert parse([("cursor", rest_query.cursor(place))], ALL).cursor == place


ATLAS, SAHARA, ABROAD = ("MA", "AS64501"), ("DZ", "sahara"), ("DZ", "AS64501")
NAMES = rest_query.called(
    [(Line("Atlas Telecom", 64501, "MA"), "p-1"), (Line(" Sahara ", 0, "DZ"), "p-2"), (Line("", 64501, "DZ"), "p-3")]
)


@pytest.mark.parametrize(
    ("query", "due"),
    [
        (Query(), {ATLAS, SAHARA, ABROAD}),
        (Query(country="DZ"), {SAHARA, ABROAD}),
        (Query(country=""), set()),
        (Query(operator="as64501"), {ATLAS, ABROAD}),
        (Query(operator="atlas TELECOM "), {ATLAS}),
        (Query(operator="Sahara", country="DZ"), {SAHARA}),
        (Query(operator="Sahara", country="MA"), set()),
    ],
)
def test_operators_by_number_or_name(query: Query, due: set[tuple[str, str]]) -> None:
    assert rest_query.narrowed(query, [ATLAS, SAHARA, ABROAD], NAMES) == due


def test_who_is_not_shown_is_not_found_by_name() -> None:
    assert rest_query.narrowed(Query(operator="Sahara"), [ATLAS], NAMES) == frozenset()
