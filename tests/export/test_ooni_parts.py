"""Entries of OONI's lists, field by field as df-001, df-002, df-005, df-006 and df-008 have them."""

from __future__ import annotations

import pytest

from probe.export import ooni_parts as parts
from probe.export.lookups import Lookup


def test_a_query_and_its_answers() -> None:
    records = ((5, "www.site.example"), (1, "192.0.2.7"), (16, "text"))
    assert parts.query(Lookup("198.51.100.53", "site.example", 0, records, 1.5, 60), "system", 3) == {
        "answers": [
            {"answer_type": "CNAME", "hostname": "www.site.example", "ttl": 60},
            {"answer_type": "A", "ipv4": "192.0.2.7", "ttl": 60},
        ],
        "engine": "system", "failure": None, "hostname": "site.example", "query_type": "A", "raw_response": None,
        "rcode": 0, "resolver_address": "198.51.100.53:53", "resolver_hostname": None, "resolver_port": None,
        "t0": 0.0, "t": 0.0015, "tags": ["classic"], "transaction_id": 3, "x_transport": "udp",
    }  # fmt: skip


def test_a_query_over_ipv6_for_ipv6() -> None:
    entry = parts.query(Lookup("2001:db8::53", "site.example", 0, ((28, "2001:db8::1"),)), "udp", 1)
    assert entry["answers"] == [{"answer_type": "AAAA", "ipv6": "2001:db8::1", "ttl": None}]
    assert (entry["query_type"], entry["resolver_address"], entry["tags"]) == ("AAAA", "[2001:db8::53]:53", [])


@pytest.mark.parametrize(
    ("rcode", "records", "failure"),
    [
        (None, (), "generic_timeout_error"), (0, (), "dns_no_answer"), (0, ((5, "x"),), "dns_no_answer"),
        (0, ((1, "192.0.2.7"),), None), (3, (), "dns_nxdomain_error"), (5, (), "dns_refused_error"),
        (2, (), "dns_server_misbehaving"),
    ],
)  # fmt: skip
def test_why_a_lookup_failed(rcode: int | None, records: tuple[tuple[int, str], ...], failure: str | None) -> None:
    lookup = Lookup("192.0.2.53", "site.example", rcode, records)
    assert parts.unresolved(lookup) == failure
    entry = parts.query(lookup, "udp", 1)
    assert (entry["failure"], entry["rcode"]) == (failure, rcode)
    assert entry["answers"] is None or records


def test_a_tcp_connection() -> None:
    assert parts.tcp_connect("192.0.2.7", 443, None, 0.02, 1) == {
        "ip": "192.0.2.7", "port": 443, "status": {"failure": None, "success": True}, "t0": 0.0, "t": 0.02, "tags": [],
        "transaction_id": 1,
    }  # fmt: skip
    failed = parts.tcp_connect("192.0.2.7", 443, "connection_refused", 0.02, 1)
    assert failed["status"] == {"failure": "connection_refused", "success": False}


def test_a_tls_handshake() -> None:
    assert parts.tls_handshake("2001:db8::1", 443, "site.example", "connection_reset", 0.02, 2) == {
        "network": "tcp", "address": "[2001:db8::1]:443", "cipher_suite": "", "failure": "connection_reset",
        "negotiated_protocol": "", "no_tls_verify": True, "peer_certificates": None, "server_name": "site.example",
        "t0": 0.0, "t": 0.02, "tags": [], "tls_version": "", "transaction_id": 2,
    }  # fmt: skip


def test_a_request() -> None:
    assert parts.request("http://site.example/", "192.0.2.7:80", "eof_error", 0.02, 2) == {
        "network": "tcp", "address": "192.0.2.7:80", "alpn": "", "failure": "eof_error",
        "request": {
            "url": "http://site.example/", "method": "GET", "body": "", "body_is_truncated": False, "headers": {},
            "headers_list": [], "tor": {"exit_ip": None, "exit_name": None, "is_tor": False}, "x_transport": "tcp",
        },
        "response": {"body": None, "body_is_truncated": False, "code": None, "headers": {}, "headers_list": []},
        "t0": 0.0, "t": 0.02, "tags": [], "transaction_id": 2,
    }  # fmt: skip


def test_a_network_event() -> None:
    assert parts.event("read", "192.0.2.7:3478", "generic_timeout_error", 0.0) == {
        "operation": "read", "address": "192.0.2.7:3478", "proto": "udp", "failure": "generic_timeout_error",
        "num_bytes": None, "t0": 0.0, "t": 0.0, "tags": [],
    }  # fmt: skip


def test_the_first_failure_of_a_list() -> None:
    good = parts.tcp_connect("192.0.2.7", 80, None, 0.0, 1)
    bad = parts.tcp_connect("192.0.2.7", 80, "connection_refused", 0.0, 2)
    assert parts.first_failure([]) is None
    assert parts.first_failure([good]) is None
    assert parts.first_failure([good, bad, parts.event("read", "x", "eof_error", 0.0)]) == "connection_refused"
