"""OONI's rules, applied to the exported data, come to our verdicts; and they notice where they don't."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from probe.export import ooni
from probe.model.finding import Finding
from tests.export.conftest import TECHNIQUES, golden
from tests.export.test_ooni_web import (
    ANSWERED,
    FORGED,
    REAL,
    RESET,
    SHUT,
    connections,
    injection,
    reply,
    resolver,
    said,
)  # fmt: skip
from tests.export.verdicts import agree, by_their_rules


def exported(finding: Finding) -> dict[str, Any]:
    measurement: dict[str, Any] = json.loads(msgspec.json.encode(ooni.measurement(finding, Counter())))
    return measurement


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_golden_findings(technique: str) -> None:
    agree(golden(technique), exported(golden(technique)))


@pytest.mark.parametrize(
    ("finding", "theirs"),
    [
        (injection([reply(REAL)]), {False}), (injection([reply(rcode=3)]), {False}),
        (injection([reply(FORGED, ttl=62), reply(REAL)], [reply(REAL)], technique="dns_injection"), {"dns", False}),
        (resolver(said(REAL), said(REAL)), {False}), (resolver(said(FORGED), said(REAL), "dns_lie"), {"dns"}),
        (resolver(None, said(REAL), "dns_lie"), {"dns"}), (connections(ANSWERED), {False}),
        (connections(ANSWERED, tls=True), {False}), (connections(RESET, technique="tcp_reset"), {"http-failure"}),
        (connections(RESET, technique="tcp_reset", tls=True), {"http-failure"}),
        (connections(SHUT, technique="trigger_drop"), {"tcp_ip"}), (connections(SHUT, SHUT, verdict="down"), {False}),
        (connections(RESET, RESET, verdict="down"), {False}),
        (connections(RESET, verdict="inconclusive"), {"http-failure"}),
    ],
)  # fmt: skip
def test_other_findings(finding: Finding, theirs: set[str | bool]) -> None:
    measurement = exported(finding)
    assert measurement["test_name"] == "web_connectivity"
    assert by_their_rules(measurement["test_keys"]) == theirs
    agree(finding, measurement)


@pytest.mark.parametrize(
    ("technique", "path", "value"),
    [
        ("dns_lie", ("control", "dns", "addrs"), []), ("dns_lie", ("blocking",), "tcp_ip"),
        ("dns_lie", ("blocking",), False), ("tcp_reset", ("requests",), []), ("tcp_reset", ("accessible",), None),
        ("header_tampering", ("tampering",), {"header_field_name": False}), ("voip_stun", ("failure",), None),
        ("sip_alg", ("blocking",), "dns"),
    ],
)  # fmt: skip
def test_a_contradiction_is_noticed(technique: str, path: tuple[str, ...], value: Any) -> None:
    measurement = copy.deepcopy(exported(golden(technique)))
    part = measurement["test_keys"]
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(AssertionError):
        agree(golden(technique), measurement)
