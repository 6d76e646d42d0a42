"""Addresses of stores, good and bad."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.clickhouse.address import Address, Host, parse
from probe.model.errors import ConfigError


def test_one_server_with_everything_left_out() -> None:
    assert parse("clickhouse://store.example") == Address(
        (Host("store.example", 8123),), False, "default", "colibri", "", ()
    )


def test_shards_a_user_and_settings() -> None:
    found = parse("clickhouses://us%40er@a.example:9,[2001:db8::1],c/findings?cluster=both&async_insert=1")
    assert found.hosts == (Host("a.example", 9), Host("2001:db8::1", 8443), Host("c", 8443))
    assert (found.tls, found.user, found.database, found.cluster) == (True, "us@er", "findings", "both")
    assert found.settings == (("async_insert", "1"),)
    assert str(found.hosts[1]) == "[2001:db8::1]:8443"


def test_replicas() -> None:
    assert parse("clickhouse://a,b/findings?cluster=both").quorum == 0
    found = parse("clickhouse://a,b/findings?cluster=both&quorum=2&async_insert=1")
    assert (found.cluster, found.quorum, found.settings) == ("both", 2, (("async_insert", "1"),))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sqlite:///x", "is no store"),
        ("clickhouse://me:secret@a/b", "password has no place"),
        ("clickhouse://", "is not HOST"),
        ("clickhouse://a:0/b", "0 is no port"),
        ("clickhouse://a:99999/b", "99999 is no port"),
        ("clickhouse://a,b/c", "several servers need"),
        ("clickhouse://a/b;DROP", "is no name"),
        ("clickhouse://a/b?cluster=x'y", "is no name"),
        ("clickhouse://a/b#c", "#"),
        ("clickhouse://a/b?quorum=2", "needs [?]cluster"),
        ("clickhouse://a/b?cluster=c&quorum=1", "2 to 9"),
        ("clickhouse://a/b?cluster=c&quorum=two", "2 to 9"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse(text)
    assert caught.value.where == "collector.store"
    assert "secret" not in caught.value.what


@given(st.text(max_size=60))
def test_nothing_else_is_raised(text: str) -> None:
    for candidate in (text, f"clickhouse://{text}"):
        try:
            found = parse(candidate)
        except ConfigError:
            continue
        assert found.hosts
