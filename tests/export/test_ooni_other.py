"""``stunreachability``, ``http_header_field_manipulation`` and ``urlgetter``."""

from __future__ import annotations

from typing import Any

import pytest

from probe.export import ooni_other
from probe.export.details import Datagram, Datagrams, Looks, read
from tests.export.conftest import golden, made


def test_stun_that_vanishes() -> None:
    finding = golden("voip_stun")
    seen = read(finding)
    assert isinstance(seen, Datagrams)
    keys = ooni_other.stun(finding, "203.0.113.190", 3478, seen.ends[0].triggers)
    assert (keys["endpoint"], keys["failure"], keys["queries"]) == ("203.0.113.190:3478", "generic_timeout_error", [])
    events = [(one["operation"], one["failure"]) for one in keys["network_events"]]
    assert events == [("connect", None), *[("write", None), ("read", "generic_timeout_error")] * 9]


@pytest.mark.parametrize(
    ("verdict", "failure"),
    [
        ("clean", None), ("down", "generic_timeout_error"),
        ("inconclusive", "unknown_failure: inconclusive (dns_injection/answer-from-silent-address)"),
    ],
)  # fmt: skip
def test_the_failure_of_stun_is_the_verdict(verdict: str, failure: str | None) -> None:
    finding = made("udp_trigger", {}, verdict=verdict)
    datagrams = [Datagram(21.5), Datagram(None, rejected=True)]
    keys = ooni_other.stun(finding, "2001:db8::1", 3478, datagrams)
    assert (keys["endpoint"], keys["failure"]) == ("[2001:db8::1]:3478", failure)
    reads = [(one["failure"], one["t"]) for one in keys["network_events"] if one["operation"] == "read"]
    assert reads == [(None, 0.0215), ("connection_refused", 0.0)]


def headers(*changes: str, own: bool = True, **more: Any) -> dict[str, Any]:
    look = {"touched": bool(changes), "own": own, "changes": list(changes)}
    details = {"far": "203.0.113.190", "ports": {"http": [80, 14865]},
               "looks": {"http, trial, known port, target name": [look] * 3}}  # fmt: skip
    finding = made("tampering", details, **more)
    seen = read(finding)
    assert isinstance(seen, Looks)
    return ooni_other.headers(finding, seen)


@pytest.mark.parametrize(
    ("changes", "true", "diff"),
    [
        ((), set(), []),
        (("got 'Via'",), {"header_field_name", "header_field_number"}, ["Via"]),
        (("got 'Via'", "lost 'X-mark'"), {"header_field_name"}, ["Via", "X-mark"]),
        (("the letter case of 'aCCept'",), {"header_name_capitalization"}, ["aCCept"]),
        (("the value of 'Host'",), {"header_field_value"}, ["Host"]),
        (("the request line",), {"request_line_capitalization"}, []),
        (("the order of headers", "the answer got 'via'"), set(), []),
    ],
)
def test_changed_headers(changes: tuple[str, ...], true: set[str], diff: list[str]) -> None:
    tampering = headers(*changes)["tampering"]
    assert tampering.pop("header_name_diff") == diff
    assert {key for key, value in tampering.items() if value} == true
    assert set(tampering.values()) <= {True, False}


def test_somebody_else_s_page_is_total() -> None:
    assert headers("a page of somebody else (status 403)", own=False)["tampering"]["total"] is True


def test_the_requests_went_to_the_far_end() -> None:
    requests = headers("got 'Via'")["requests"]
    assert [(one["address"], one["request"]["url"], one["failure"]) for one in requests] == [
        ("203.0.113.190:80", "http://203.0.113.190:80/", None)
    ] * 3


def test_no_verdict_is_none() -> None:
    tampering = headers("got 'Via'", verdict="inconclusive")["tampering"]
    assert {value for key, value in tampering.items() if key != "header_name_diff"} == {None}


def plain(measurement: str, own: dict[str, Any], technique: str = "", **changes: Any) -> dict[str, Any]:
    finding = made(measurement, own, technique, address="203.0.113.10", **changes)
    return ooni_other.plain(finding, read(finding))


def test_ports_of_a_hole() -> None:
    rows = [{"address": "192.0.2.1", "ports": {"80": "open", "443": "closed"}},
            {"address": "2001:db8::1", "ports": {"80": "silent", "443": "refused", "25": "odd"}}]  # fmt: skip
    keys = plain("blackhole", {"addresses": rows, "references": []}, "ip_blackhole")
    assert [(one["ip"], one["port"], one["status"]["failure"]) for one in keys["tcp_connect"]] == [
        ("192.0.2.1", 80, None), ("192.0.2.1", 443, "connection_refused"),
        ("2001:db8::1", 80, "generic_timeout_error"), ("2001:db8::1", 443, "host_unreachable"),
        ("2001:db8::1", 25, "unknown_failure: odd"),
    ]  # fmt: skip
    assert (keys["failure"], keys["failed_operation"]) == ("connection_refused", "connect")


def test_all_that_answered_a_redirected_query() -> None:
    finding = golden("dns_redirect")
    keys = ooni_other.plain(finding, read(finding))
    assert [(one["resolver_address"], one["engine"]) for one in keys["queries"]] == [
        *[("198.18.30.53:53", "udp")] * 3, *[("203.0.113.200:53", "udp")] * 3
    ]  # fmt: skip
    assert {one["answers"][0]["ipv4"] for one in keys["queries"]} == {"203.0.113.10"}


def test_silence_of_an_address_that_runs_no_resolver_is_no_failure() -> None:
    own = {"resolver": "", "silent": "192.0.2.200", "resolver_trials": [], "silent_trials": [[], []]}
    keys = plain("dns_injection", own)
    assert (keys["queries"], keys["failure"], keys["failed_operation"]) == ([], None, None)
    own["resolver"], own["resolver_trials"] = "192.0.2.53", [[]]
    keys = plain("dns_injection", own)
    assert (keys["failure"], keys["failed_operation"]) == ("generic_timeout_error", "resolve")


def test_connections_without_a_control() -> None:
    trials = [{"handshake_ms": 20.0}, {"failure": "refused"}]
    own = {"trigger": "http", "port": 80, "trials": trials, "twins": [], "control_trials": []}
    keys = plain("tcp_reset", own)
    assert [(one["ip"], one["status"]["failure"]) for one in keys["tcp_connect"]] == [
        ("203.0.113.10", None), ("203.0.113.10", "connection_refused")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("technique", "failure"), [("voip_media", "generic_timeout_error"), ("sip_alg", None), ("", None)]
)
def test_a_call_that_fails(technique: str, failure: str | None) -> None:
    keys = plain("voip", {"questions": {}}, technique)
    assert (keys["failure"], keys["failed_operation"]) == (failure, "read" if failure else None)
    lists = ("network_events", "queries", "requests", "tcp_connect", "tls_handshakes")
    assert [keys[one] for one in lists] == [[]] * 5
