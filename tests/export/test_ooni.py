"""A finding becomes the OONI test whose own comparison comes to the same verdict; nothing of it is lost."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.export import ooni
from probe.model.finding import Finding
from tests.export import ooni_format
from tests.export.conftest import TECHNIQUES, golden, made
from tests.export.test_details import FIELDS, JSON, TRACE
from tests.samples import SAMPLE


def export(finding: Finding) -> tuple[dict[str, Any], Counter[str]]:
    """The measurement as it is read back from JSON, held against the format, and what is lost."""
    lost: Counter[str] = Counter()
    measurement = json.loads(msgspec.json.encode(ooni.measurement(finding, lost)))
    ooni_format.check(measurement)
    return measurement, lost


BECOMES: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "block_page": ("web_connectivity", "http://press.example/", {"blocking": "http-diff", "accessible": False}),
    "dns_injection": (
        "web_connectivity", "http://press.example/",
        {"blocking": "dns", "accessible": False, "dns_consistency": "inconsistent"},
    ),
    "dns_lie": (
        "web_connectivity", "http://press.example/",
        {"blocking": "dns", "accessible": False, "dns_consistency": "inconsistent",
         "dns_experiment_failure": "dns_nxdomain_error"},
    ),
    # The answers are the right ones: only who gives them is wrong, for which OONI has no verdict.
    "dns_redirect": ("urlgetter", "dnslookup://press.example", {"failure": None, "failed_operation": None}),
    "header_tampering": (
        "http_header_field_manipulation", None,
        {"tampering": {
            "total": False, "request_line_capitalization": False, "header_name_capitalization": True,
            "header_field_name": True, "header_field_value": False, "header_field_number": True,
            "header_name_diff": ["Via", "X-Forwarded-For", "X-mark", "aCCept", "x-TRACE"],
        }},
    ),
    "ip_blackhole": (
        "urlgetter", "tcpconnect://198.51.100.10:80",
        {"failure": "generic_timeout_error", "failed_operation": "connect"},
    ),
    "sip_alg": ("urlgetter", "203.0.113.190", {"failure": None}),
    "tcp_reset": (
        "web_connectivity", "http://press.example/",
        {"blocking": "http-failure", "accessible": False, "http_experiment_failure": "connection_reset"},
    ),
    "trigger_drop": (
        "web_connectivity", "http://press.example/",
        {"blocking": "http-failure", "accessible": False, "http_experiment_failure": "generic_timeout_error"},
    ),
    "voip_media": ("urlgetter", "203.0.113.190", {"failure": "generic_timeout_error", "failed_operation": "read"}),
    "voip_stun": (
        "stunreachability", "stun://203.0.113.190:3478",
        {"failure": "generic_timeout_error", "endpoint": "203.0.113.190:3478"},
    ),
}  # fmt: skip
"""Golden recording → test, input, and the test keys that are OONI's verdict."""
NO_VERDICT = {
    "dns_redirect": "verdict dns_redirect of dns_resolver: no OONI test judges it, in x_colibri only",
    "ip_blackhole": "verdict ip_blackhole of blackhole: no OONI test judges it, in x_colibri only",
    "sip_alg": "verdict sip_alg of voip: no OONI test judges it, in x_colibri only",
    "voip_media": "verdict voip_media of voip: no OONI test judges it, in x_colibri only",
}


def test_every_golden_recording_is_tested() -> None:
    assert BECOMES.keys() == set(TECHNIQUES)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_verdict_of_a_golden_finding_is_theirs_too(technique: str) -> None:
    measurement, lost = export(golden(technique))
    name, asked, keys = BECOMES[technique]
    assert (measurement["test_name"], measurement["input"]) == (name, asked)
    assert {key: measurement["test_keys"][key] for key in keys} == keys
    assert lost == ({NO_VERDICT[technique]: 1} if technique in NO_VERDICT else {})


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_whole_finding_travels_along(technique: str) -> None:
    finding = golden(technique)
    measurement, _ = export(finding)
    assert msgspec.convert(measurement["test_keys"]["x_colibri"], Finding) == finding


def test_the_fields_of_every_measurement() -> None:
    measurement, _ = export(golden("tcp_reset"))
    del measurement["test_keys"]
    assert measurement == {
        "annotations": {"clock": "synchronised", "engine_name": "colibri", "network_type": "mobile"},
        "data_format_version": "0.2.0",
        "extensions": {"dnst": 0, "httpt": 0, "netevents": 0, "tcpconnect": 0, "tlshandshake": 0},
        "input": "http://press.example/", "measurement_start_time": "2026-01-02 03:04:05", "probe_asn": "AS64500",
        "probe_cc": "MA", "probe_ip": "127.0.0.1", "probe_network_name": "Example Telecom", "report_id": "",
        "resolver_asn": "AS0", "resolver_ip": "127.0.0.2", "resolver_network_name": "", "software_name": "colibri",
        "software_version": "0.1.0", "test_helpers": {}, "test_name": "web_connectivity", "test_runtime": 2.5,
        "test_start_time": "2026-01-02 03:04:05", "test_version": f"0.0.{golden('tcp_reset').version}",
    }  # fmt: skip


def test_a_line_that_nobody_knows() -> None:
    line = {"operator": "", "asn": 0, "country": "", "access": "unknown"}
    probe = {"id": "p", "software": ""}
    measurement, _ = export(made("throttling", {}, line=line, probe=probe, clock="unsynchronised"))
    assert (measurement["probe_asn"], measurement["probe_cc"], measurement["probe_network_name"]) == ("AS0", "ZZ", "")
    assert (measurement["software_name"], measurement["software_version"]) == ("colibri", "unknown")
    assert measurement["annotations"] == {"clock": "unsynchronised", "engine_name": "colibri"}


def test_the_resolver_that_stood_for_the_line_s_own_is_named() -> None:
    assert export(golden("dns_lie"))[0]["resolver_ip"] == "198.18.30.53"
    assert export(golden("dns_injection"))[0]["resolver_ip"] == "203.0.113.153"


@pytest.mark.parametrize(
    ("measurement", "own", "asked"),
    [("throttling", {"bytes": 1}, "site.example"), ("ttl_path", TRACE, "site.example"),
     ("blackhole", {"addresses": [], "references": []}, "tcpconnect://192.0.2.1:0"),
     ("udp_trigger", {"trigger": "quic", "ends": [{"address": "192.0.2.1", "port": 443}]}, "site.example"),
     ("udp_trigger", {"trigger": "stun", "ends": [{"address": "192.0.2.9", "port": 3478}]}, "site.example")],
)  # fmt: skip
def test_what_no_test_of_theirs_judges_is_an_urlgetter(measurement: str, own: dict[str, Any], asked: str) -> None:
    exported, lost = export(made(measurement, own, address="192.0.2.1"))
    assert (exported["test_name"], exported["input"]) == ("urlgetter", asked)
    assert exported["test_keys"]["failure"] is None
    assert lost == {}


def test_an_answer_that_is_changed_is_none_of_theirs() -> None:
    looks = {"http, trial, known port, target name": [{"touched": True, "changes": ["the answer got 'x-cache'"]}] * 3}
    own = {"far": "192.0.2.9", "ports": {"http": [80, 14865]}, "looks": looks}
    exported, lost = export(made("tampering", own, "header_tampering"))
    assert exported["test_name"] == "urlgetter"
    assert lost == {"verdict header_tampering of tampering: no OONI test judges it, in x_colibri only": 1}


def test_a_call_s_stun_is_theirs() -> None:
    exported, lost = export(made("voip", {"questions": {}}, "voip_stun", address="2001:db8::1", port=0))
    assert (exported["test_name"], exported["input"]) == ("stunreachability", "stun://[2001:db8::1]:3478")
    assert exported["test_keys"]["failure"] == "generic_timeout_error"
    assert lost == {}


def test_details_that_do_not_fit_are_said_and_stay_in_the_extension() -> None:
    own = {"resolver_trials": 5}
    exported, lost = export(made("dns_injection", own, "dns_injection"))
    assert exported["test_name"] == "urlgetter"
    assert exported["test_keys"]["x_colibri"]["details"] == own
    assert lost == {
        "details of dns_injection: Expected `array`, got `int` - at `$.resolver_trials`: in x_colibri only": 1,
        "verdict dns_injection of dns_injection: no OONI test judges it, in x_colibri only": 1,
    }


def mutated(value: Any, data: st.DataObject) -> None:
    """Replace some parts of a finding's details by anything."""
    for _ in range(data.draw(st.integers(1, 3))):
        part = value
        while isinstance(part, dict | list) and part:
            key = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
            if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
                part[key] = data.draw(JSON)
                break
            part = part[key]


@given(st.data())
def test_whatever_the_details_hold_a_measurement_comes_of_it(data: st.DataObject) -> None:
    finding = golden(data.draw(st.sampled_from(TECHNIQUES)))
    details = copy.deepcopy(finding.details)
    mutated(details, data)
    exported, _ = export(msgspec.structs.replace(finding, details=details))
    assert exported["test_keys"]["x_colibri"]["details"] == details


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.text(max_size=30), st.sampled_from(["", "tcp_reset"]))
def test_whatever_a_finding_holds_a_measurement_comes_of_it(own: dict[str, Any], name: str, technique: str) -> None:
    exported, _ = export(made("dns_resolver", own, technique, name=name, input=name))
    assert exported["test_keys"]["x_colibri"]["details"] == own


def test_a_finding_with_its_signature_travels_whole() -> None:
    assert export(msgspec.convert(SAMPLE, Finding))[0]["test_keys"]["x_colibri"] == SAMPLE
