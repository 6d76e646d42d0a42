"""``web_connectivity``: what the line got, the control, and the verdict that OONI draws from both."""

from __future__ import annotations

from typing import Any

import pytest

from probe.export import ooni_web
from probe.export.details import Connections, Injection, Looks, Resolver, read
from probe.export.ooni_web import Web
from probe.model.finding import Finding
from tests.export.conftest import golden, made

FORGED, REAL, MAIL = "198.18.0.99", "203.0.113.10", "203.0.113.11"
OPENED = {"status": {"failure": None, "success": True}}


def web(finding: Finding) -> Web | None:
    seen = read(finding)
    if isinstance(seen, Injection):
        return ooni_web.injection(finding, seen)
    if isinstance(seen, Resolver):
        return ooni_web.resolver(finding, seen)
    if isinstance(seen, Connections):
        return ooni_web.connections(finding, seen)
    assert isinstance(seen, Looks)
    return ooni_web.replaced(finding, seen)


def keys(finding: Finding) -> dict[str, Any]:
    found = web(finding)
    assert found is not None
    return found.keys


def verdict(finding: Finding) -> tuple[Any, Any, Any]:
    found = keys(finding)
    return found["blocking"], found["accessible"], found["dns_consistency"]


# What dns_injection saw.


def reply(*addresses: str, ttl: int = 56, after: float = 20.0, rcode: int = 0) -> dict[str, Any]:
    return {"after_ms": after, "ttl": ttl, "rcode": rcode, "answers": [f"1 {address}" for address in addresses]}


def injection(*trials: list[dict[str, Any]], technique: str = "", **changes: Any) -> Finding:
    own = {"resolver": "203.0.113.153", "silent": "203.0.113.200", "silent_trials": [], "control_ttls": [55, 56],
           "resolver_trials": list(trials)}  # fmt: skip
    return made("dns_injection", own, technique, **changes)


def test_forged_answers_beside_the_resolver_s_own() -> None:
    found = keys(golden("dns_injection"))
    assert [
        (query["failure"], query["engine"], query["resolver_address"], query["hostname"], query["answers"])
        for query in found["queries"]
    ] == [
        (None, "system", "203.0.113.153:53", "press.example", [{"answer_type": "A", "ipv4": FORGED, "ttl": None}])
    ] * 3
    assert [query["t"] for query in found["queries"]] == [0.000532, 0.000303, 0.000353]
    assert found["control"]["dns"] == {"failure": None, "addrs": [REAL]}
    assert found["dns_experiment_failure"] is None


def test_a_clean_name_is_consistent_and_no_server_was_asked() -> None:
    assert verdict(injection([reply(REAL)], [reply(MAIL, REAL)])) == (False, None, "consistent")


def test_a_name_that_does_not_exist_for_anybody() -> None:
    finding = injection([reply(rcode=3)])
    assert verdict(finding) == (False, None, "consistent")
    assert keys(finding)["control"]["dns"] == {"failure": "dns_nxdomain_error", "addrs": []}
    assert keys(finding)["dns_experiment_failure"] == "dns_nxdomain_error"


def test_what_is_inconclusive_stays_so_and_what_is_down_is_not_blocked() -> None:
    trial = [reply(FORGED, ttl=62), reply(REAL)]
    assert verdict(injection(trial, verdict="inconclusive")) == (None, None, None)
    assert verdict(injection(trial, verdict="down")) == (False, False, None)


@pytest.mark.parametrize(
    "trials",
    [
        [],  # only the silent address was asked
        [[reply(FORGED, ttl=62)]],  # the forger sits in the path: the resolver's own answer never came
        [[]],
        [[{**reply(REAL), "truncated": True}]],
        [[reply(REAL)], [reply(REAL), reply(FORGED, ttl=62)]],  # a program on the line takes the right one
    ],
)
def test_where_no_control_tells_what_the_finding_says_there_is_none(trials: list[list[dict[str, Any]]]) -> None:
    assert web(injection(*trials, technique="dns_injection")) is None


# What dns_resolver saw.


def said(*addresses: str, says: str = "addresses", rcode: int = 0) -> dict[str, Any]:
    return {"says": says, "after_ms": 0.5, "rcode": rcode, "addresses": list(addresses), "lifetime": 60}


def resolver(line: Any, control: Any, technique: str = "", servers: Any = None, **changes: Any) -> Finding:
    own = {"resolver": "198.18.30.53", "control_resolver": "203.0.113.153", "silent": "", "resolved_by": {},
           "answers": {"target, resolver": [line] * 3, "target, control": [control] * 3},
           "servers": {"before": servers or {}}}  # fmt: skip
    return made("dns_resolver", own, technique, **changes)


def test_a_name_that_the_line_s_resolver_denies() -> None:
    found = keys(golden("dns_lie"))
    assert [(query["failure"], query["rcode"], query["answers"]) for query in found["queries"]] == [
        ("dns_nxdomain_error", 3, None)
    ] * 3
    assert {query["resolver_address"] for query in found["queries"]} == {"198.18.30.53:53"}
    assert found["control"]["dns"] == {"failure": None, "addrs": [REAL]}
    assert [(one["address"], one["server_name"], one["failure"]) for one in found["tls_handshakes"]] == [
        (f"{REAL}:443", "press.example", None)
    ]


def test_a_clean_resolver_and_a_server_that_proved_itself() -> None:
    proven = {REAL: {"right": True}, MAIL: {"right": False, "failure": "timeout"}}
    assert verdict(resolver(said(REAL), said(REAL), servers=proven)) == (False, True, "consistent")
    # Other addresses, as large sites give them: the rules asked their certificates, or had other grounds.
    own = resolver(said(MAIL), said(REAL)).details
    own["servers"] = {"before": {}, "other": {MAIL: [{"right": True}]}}
    assert verdict(made("dns_resolver", own)) == (False, True, "consistent")
    assert [one["address"] for one in keys(made("dns_resolver", own))["tls_handshakes"]] == [f"{MAIL}:443"]
    assert web(resolver(said(MAIL), said(REAL), servers=proven)) is None
    assert verdict(resolver(said(REAL), said(REAL))) == (False, None, "consistent")


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        (said(FORGED), None), (said(says="empty"), "dns_no_answer"), (None, "generic_timeout_error"),
        (said(says="refused", rcode=5), "dns_refused_error"), (said(says="failure", rcode=2), "dns_server_misbehaving"),
    ],
)  # fmt: skip
def test_every_lie_is_inconsistent(line: Any, failure: str | None) -> None:
    finding = resolver(line, said(REAL), "dns_lie")
    assert verdict(finding) == ("dns", False, "inconsistent")
    assert keys(finding)["dns_experiment_failure"] == failure


def test_a_redirect_that_tells_the_truth_is_none_of_theirs() -> None:
    assert web(golden("dns_redirect")) is None
    assert web(resolver(said(REAL), said(REAL), "dns_redirect")) is None


# What tcp_reset saw.

ANSWERED = {"handshake_ms": 20.0, "data": [{"after_ms": 21.0}], "fins": 1}
RESET = {"handshake_ms": 20.0, "resets": [{"after_ms": 0.5}]}
SHUT = {"failure": "timeout"}


def connections(trial: Any, twin: Any = None, technique: str = "", *, tls: bool = False, **changes: Any) -> Finding:
    own = {"trigger": "tls" if tls else "http", "port": 443 if tls else 80, "twin": "control.example",
           "trials": [trial] * 3, "twins": [twin or ANSWERED] * 3, "control_trials": []}  # fmt: skip
    return made("tcp_reset", own, technique, address="203.0.113.10", **changes)


def test_reset_requests_beside_their_twins() -> None:
    found = keys(golden("tcp_reset"))
    assert [(one["ip"], one["port"], one["status"], one["t"]) for one in found["tcp_connect"]] == [
        (REAL, 80, OPENED["status"], at) for at in (0.023241, 0.02307, 0.022937)
    ]
    assert [(one["failure"], one["t"], one["transaction_id"]) for one in found["requests"]] == [  # newest first
        ("connection_reset", 0.023093, 3), ("connection_reset", 0.023273, 2), ("connection_reset", 0.023555, 1)
    ]  # fmt: skip
    assert {one["request"]["url"] for one in found["requests"]} == {"http://press.example/"}
    assert {one["address"] for one in found["requests"]} == {f"{REAL}:80"}
    assert found["control"] == {
        "dns": None, "tcp_connect": {f"{REAL}:80": {"status": True, "failure": None}}, "tls_handshake": {},
        "http_request": {"body_length": None, "failure": None, "title": None, "headers": None, "status_code": None},
    }  # fmt: skip
    assert (found["tls_handshakes"], found["queries"]) == ([], [])


def test_a_reset_client_hello() -> None:
    finding = connections(RESET, technique="tcp_reset", tls=True)
    found = keys(finding)
    assert verdict(finding) == ("http-failure", False, None)
    assert [(one["address"], one["server_name"], one["failure"]) for one in found["tls_handshakes"]] == [
        (f"{REAL}:443", "site.example", "connection_reset")
    ] * 3
    assert found["control"]["tls_handshake"] == {
        f"{REAL}:443": {"status": True, "failure": None, "server_name": "control.example"}
    }
    assert found["control"]["http_request"] is None
    assert found["http_experiment_failure"] == "connection_reset"
    found_web = web(finding)
    assert found_web is not None
    assert found_web.input == "https://site.example/"


def test_a_clean_connection_is_accessible() -> None:
    assert verdict(connections(ANSWERED)) == (False, True, None)
    assert [one["failure"] for one in keys(connections(ANSWERED))["requests"]] == [None] * 3
    hello = keys(connections(ANSWERED, tls=True))
    assert [(one["failure"], one["x_hello_only"]) for one in hello["tls_handshakes"]] == [(None, True)] * 3
    assert hello["requests"] == []  # no request was sent


def test_connections_that_never_open_are_tcp_ip() -> None:
    finding = connections(SHUT, technique="trigger_drop")
    assert verdict(finding) == ("tcp_ip", False, None)
    found = keys(finding)
    assert [one["status"] for one in found["tcp_connect"]] == [
        {"failure": "generic_timeout_error", "success": False}
    ] * 3
    assert [one["failure"] for one in found["requests"]] == ["generic_timeout_error"] * 3


def test_a_server_that_is_down_for_its_twins_too() -> None:
    finding = connections(SHUT, SHUT, verdict="down")
    assert verdict(finding) == (False, False, None)
    assert keys(finding)["control"] == {
        "dns": None,
        "tcp_connect": {f"{REAL}:80": {"status": False, "failure": "generic_timeout_error"}}, "tls_handshake": {},
        "http_request": {"body_length": None, "failure": "generic_timeout_error", "title": None, "headers": None,
                         "status_code": None},
    }  # fmt: skip


def test_an_end_of_stream_that_was_forged() -> None:
    torn = {**ANSWERED, "fins": 2}
    finding = connections(torn, technique="tcp_reset")
    assert verdict(finding) == ("http-failure", False, None)
    assert [one["failure"] for one in keys(finding)["requests"]] == ["eof_error"] * 3
    assert [one["failure"] for one in keys(connections(torn))["requests"]] == [None] * 3
    assert [one["failure"] for one in keys(connections(torn, technique="block_page"))["requests"]] == [None] * 3


def test_a_reset_behind_the_answer_hinders_nobody() -> None:
    late = {**ANSWERED, "resets": [{"after_ms": 25.0}]}
    assert web(connections(late, technique="tcp_reset")) is None
    assert web(connections(ANSWERED, technique="trigger_drop")) is None
    assert verdict(connections(late)) == (False, True, None)


def test_without_twins_there_is_no_control() -> None:
    finding = connections(RESET, technique="tcp_reset")
    assert web(made("tcp_reset", {**finding.details, "twins": []}, "tcp_reset", address=REAL)) is None
    assert web(made("tcp_reset", finding.details, "tcp_reset", address="")) is None


# What tampering saw.


def looks(technique: str, kind: str, **look: Any) -> Finding:
    seen = {f"{kind}, trial, known port, target name": [{"touched": True, "own": False, **look}] * 3}
    own = {"far": "203.0.113.190", "ports": {"http": [80, 14865], "tls": [443, 28389]}, "looks": seen}
    return made("tampering", own, technique)


def test_somebody_else_s_page() -> None:
    finding = looks("block_page", "http")
    assert verdict(finding) == ("http-diff", False, None)
    found = keys(finding)
    assert found["headers_match"] is False
    assert [(one["failure"], one["address"]) for one in found["requests"]] == [(None, "203.0.113.190:80")] * 3
    assert found["control"]["tcp_connect"] == {"203.0.113.190:80": {"status": True, "failure": None}}


def test_somebody_else_s_certificate() -> None:
    finding = looks("tls_interception", "tls", issuer="CN=Operator")
    assert verdict(finding) == ("http-failure", False, None)
    found = keys(finding)
    assert [(one["address"], one["failure"], one["x_issuer"]) for one in found["tls_handshakes"]] == [
        ("203.0.113.190:443", "ssl_unknown_authority", "CN=Operator")
    ] * 3
    assert found["http_experiment_failure"] == "ssl_unknown_authority"
    assert found["control"]["tls_handshake"] == {
        "203.0.113.190:443": {"status": True, "failure": None, "server_name": "site.example"}
    }


def test_a_session_that_broke_off_says_why() -> None:
    found = keys(looks("tls_interception", "tls", own=True, failure="handshake failure"))
    assert [one["failure"] for one in found["tls_handshakes"]] == ["unknown_failure: handshake failure"] * 3


@pytest.mark.parametrize(("technique", "kind"), [("header_tampering", "http"), ("block_page", "tls"), ("", "http")])
def test_other_tampering_is_not_of_this_test(technique: str, kind: str) -> None:
    assert web(looks(technique, kind)) is None


# The input.


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ({"input": "https://site.example/a?b=c", "name": "site.example"}, "https://site.example/a?b=c"),
        ({"input": "site.example", "name": ""}, "http://site.example/"),
        ({"input": "2001:db8::1", "name": ""}, "http://[2001:db8::1]/"),
        ({"input": "a b/../'; DROP", "name": ""}, "http://a%20b%2F..%2F%27%3B%20DROP/"),
    ],
)
def test_the_input_is_a_url(target: dict[str, str], url: str) -> None:
    assert ooni_web.url(made("dns_injection", {}, **target)) == url
