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
from tests.export import ooni_format
from tests.export import test_ooni_web as web
from tests.export.conftest import TECHNIQUES, golden, made
from tests.export.test_ooni_web import ANSWERED, FORGED, REAL, RESET, SHUT, connections, injection, reply, said
from tests.export.verdicts import agree, by_their_rules
from tests.measurements.simnet import Network
from tests.measurements.test_sweeps import confounder, interference, share
from tests.measurements.worlds import ask_dns, ask_tcp


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
        (web.resolver(said(REAL), said(REAL)), {False}), (web.resolver(said(FORGED), said(REAL), "dns_lie"), {"dns"}),
        (web.resolver(None, said(REAL), "dns_lie"), {"dns"}), (connections(ANSWERED), {False}),
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


def measured(measurement: str, network: Network, seed: int) -> Finding:
    """The finding of a measurement on a simulated network."""
    judged = (ask_dns if measurement == "dns_injection" else ask_tcp)(network, seed)
    decided = {field: getattr(judged, field) for field in judged.__struct_fields__ if field != "details"}
    return msgspec.structs.replace(made(measurement, json.loads(msgspec.json.encode(judged.details))), **decided)


@pytest.mark.parametrize("kind", ["dns", "reset", "drop", "page"])
def test_findings_on_drawn_networks(kind: str) -> None:
    measurement = "dns_injection" if kind == "dns" else "tcp_reset"
    judged: Counter[str] = Counter()
    for seed in range(10):
        for network in (confounder(seed), interference(seed, kind)[0], share(kind, seed)[0]):
            finding = measured(measurement, network, seed)
            measurement_of_theirs = exported(finding)
            ooni_format.check(measurement_of_theirs)
            agree(finding, measurement_of_theirs)
            judged[f"{finding.verdict} {measurement_of_theirs['test_keys'].get('blocking')}"] += 1
    blocking = {"dns": "dns", "page": "http-diff"}.get(kind, "http-failure")
    assert judged[f"interfered {blocking}"] >= 3
    assert judged["clean False"] >= 1
