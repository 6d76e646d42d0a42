"""A finding becomes the RIPE Atlas results that it holds, and what it does not hold is counted."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.export import atlas
from probe.model.finding import Finding
from tests.export.conftest import TECHNIQUES, golden, made
from tests.export.test_details import JSON, TRACE
from tests.export.test_ooni import mutated

Strict: dict[str, Any] = {"forbid_unknown_fields": True, "kw_only": True}
Unset = msgspec.UnsetType


class Common(msgspec.Struct, tag_field="type", **Strict):
    """What every result has, by the documentation of firmware 5000 and later."""

    fw: Literal[5080]
    msm_id: Annotated[int, msgspec.Meta(ge=10**9, lt=2**31)]
    prb_id: Annotated[int, msgspec.Meta(ge=10**9, lt=2**31)]
    msm_name: str
    timestamp: int
    lts: Literal[0, -1]
    origin: Literal[""] = msgspec.field(name="from")
    src_addr: Literal[""]
    dst_addr: str
    dst_name: str
    af: Literal[4, 6]
    x_colibri: dict[str, str]


class Packet(msgspec.Struct, **Strict):
    x: Literal["*"] | Unset = msgspec.UNSET
    origin: str | Unset = msgspec.field(name="from", default=msgspec.UNSET)
    rtt: float | Unset = msgspec.UNSET


class Hop(msgspec.Struct, **Strict):
    hop: Annotated[int, msgspec.Meta(ge=1, le=255)]
    result: Annotated[list[Packet], msgspec.Meta(min_length=1)]


class Traceroute(Common, tag="traceroute", **Strict):
    proto: str
    paris_id: Literal[1]
    endtime: int
    result: Annotated[list[Hop], msgspec.Meta(min_length=1)]


class Answer(msgspec.Struct, **Strict):
    rt: float
    size: int
    ident: int = msgspec.field(name="ID")
    QDCOUNT: int
    ANCOUNT: int
    NSCOUNT: int
    ARCOUNT: int
    abuf: str


class Entry(msgspec.Struct, **Strict):
    subid: Annotated[int, msgspec.Meta(ge=1)]
    submax: int
    af: Literal[4, 6]
    proto: Literal["UDP"]
    dst_addr: str
    src_addr: Literal[""]
    lts: Literal[0, -1]
    time: int
    result: Answer | Unset = msgspec.UNSET
    error: dict[Literal["timeout"], int] | Unset = msgspec.UNSET


class Dns(Common, tag="dns", **Strict):
    proto: Literal["UDP"]
    resultset: Annotated[list[Entry], msgspec.Meta(min_length=1)]


class SslCert(Common, tag="sslcert", **Strict):
    dst_port: str
    method: Literal["TLS"]
    ttc: float | Unset = msgspec.UNSET
    rt: float | Unset = msgspec.UNSET
    err: str | Unset = msgspec.UNSET


def export(finding: Finding) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The results as they are read back from JSON, held against the format, and what is lost."""
    lost: Counter[str] = Counter()
    found = json.loads(msgspec.json.encode(atlas.results(finding, lost)))
    msgspec.convert(found, list[Traceroute | Dns | SslCert])
    assert found or lost
    return found, lost


BECOMES = {
    "block_page": ["traceroute"], "dns_injection": ["traceroute", "dns"], "dns_lie": ["traceroute", "dns"],
    "dns_redirect": ["traceroute", "dns"], "header_tampering": ["traceroute"], "ip_blackhole": ["traceroute"],
    "sip_alg": [], "tcp_reset": ["traceroute"], "trigger_drop": ["traceroute"], "voip_media": [],
    "voip_stun": ["traceroute"],
}  # fmt: skip
EVIDENCE = "in the evidence alone"
LOST = {
    **dict.fromkeys(("block_page", "tcp_reset", "trigger_drop"), f"certificates and pages of tcp_reset: {EVIDENCE}"),
    **dict.fromkeys(("dns_lie", "dns_redirect"), f"certificates and pages of dns_resolver: {EVIDENCE}"),
    **dict.fromkeys(("sip_alg", "voip_media"), "voip: nothing that RIPE Atlas measures"),
    "header_tampering": f"certificates and pages of tampering: {EVIDENCE}",
}
PATH = ["198.18.30.2", "198.18.30.3", "198.18.30.4", "198.18.30.5", "198.19.0.1", "198.19.0.2"]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_a_golden_finding_becomes(technique: str) -> None:
    results, lost = export(golden(technique))
    assert [one["type"] for one in results] == BECOMES[technique]
    assert lost == ({LOST[technique]: 1} if technique in LOST else {})
    assert {one["x_colibri"]["technique"] for one in results} <= {technique}


def routers(result: dict[str, Any]) -> list[str | None]:
    assert [hop["hop"] for hop in result["result"]] == list(range(1, len(result["result"]) + 1))
    return [hop["result"][0].get("from") for hop in result["result"]]


def test_the_fields_of_every_result() -> None:
    finding = golden("tcp_reset")
    result = export(finding)[0][0]
    del result["result"]
    assert result == {
        "fw": 5080, "type": "traceroute", "msm_name": "Traceroute",
        "msm_id": atlas.own_id("tcp_reset", "http://press.example/", "traceroute"), "prb_id": atlas.own_id("p-1"),
        "timestamp": 1767323045, "endtime": 1767323048, "lts": 0, "from": "", "src_addr": "",
        "dst_addr": "203.0.113.10", "dst_name": "press.example", "af": 4, "proto": "TCP", "paris_id": 1,
        "x_colibri": {"finding": finding.id, "verdict": "interfered", "technique": "tcp_reset",
                      "rule": "tcp_reset/reset-below-server"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("technique", "protocol", "destination", "end"),
    [
        ("tcp_reset", "TCP", "203.0.113.10", ["203.0.113.1", "203.0.113.10"]),
        ("dns_injection", "UDP", "203.0.113.153", ["203.0.113.129"]),
        ("voip_stun", "UDP", "203.0.113.190", ["203.0.113.129", "203.0.113.190"]),
        ("header_tampering", "TCP", "203.0.113.190", ["203.0.113.129", "203.0.113.190"]),
    ],
)  # fmt: skip
def test_the_way(technique: str, protocol: str, destination: str, end: list[str]) -> None:
    result = export(golden(technique))[0][0]
    assert (result["proto"], result["dst_addr"]) == (protocol, destination)
    assert routers(result) == [None, *PATH, *end]  # the home's router first


def test_the_round_trip_of_the_last_hop_is_the_fastest_of_the_run() -> None:
    assert export(golden("tcp_reset"))[0][0]["result"][-1]["result"] == [{"from": "203.0.113.10", "rtt": 20.93}]
    assert export(golden("voip_stun"))[0][0]["result"][-1]["result"] == [{"from": "203.0.113.190", "rtt": 21.578}]


def test_the_way_to_each_resolver_that_was_swept() -> None:
    ours, redirected = export(golden("dns_lie"))[0][0], export(golden("dns_redirect"))[0][0]
    assert (ours["dst_addr"], routers(ours)) == ("198.18.30.53", [None, *PATH[:3], "198.18.30.53"])
    assert (redirected["dst_addr"], routers(redirected)) == (
        "203.0.113.200", [None, *PATH[:2], "203.0.113.200", *PATH[3:], "203.0.113.129"]
    )  # fmt: skip


def test_the_last_router_before_a_hole() -> None:
    result = export(golden("ip_blackhole"))[0][0]
    assert (result["dst_addr"], result["dst_name"], result["proto"]) == ("198.51.100.10", "198.51.100.10", "TCP")
    assert result["result"] == [
        {"hop": 2, "result": [{"from": "198.18.30.2"}]}, {"hop": 3, "result": [{"x": "*"}]}
    ]  # fmt: skip


def test_a_hole_without_a_place_and_a_plain_path() -> None:
    assert export(made("blackhole", {"addresses": [], "references": []})) == (
        [], {"blackhole: nothing that RIPE Atlas measures": 1}
    )  # fmt: skip
    (path,), lost = export(made("ttl_path", TRACE, address="2001:db8::1", clock="unsynchronised"))
    assert (path["proto"], path["af"], path["lts"], lost) == ("TCP", 6, -1, {})
    assert path["result"] == [{"hop": 1, "result": [{"x": "*"}]}]


def test_two_answers_to_one_query_stand_side_by_side() -> None:
    dns = export(golden("dns_injection"))[0][1]
    assert dns["msm_name"] == "Tdig"
    assert [one["dst_addr"] for one in dns["resultset"]] == ["203.0.113.153"] * 6 + ["203.0.113.200"] * 3
    assert [one["subid"] for one in dns["resultset"]] == list(range(1, 10))
    assert [one["result"]["rt"] for one in dns["resultset"]][:2] == [0.532, 21.083]


def test_answers_of_all_that_were_asked_and_the_silence_of_the_silent() -> None:
    dns = export(golden("dns_lie"))[0][1]
    assert [one["dst_addr"] for one in dns["resultset"]] == [
        *["198.18.30.53"] * 3, *["203.0.113.153"] * 3, *["203.0.113.200"] * 3
    ]  # fmt: skip
    assert [one.get("error") for one in dns["resultset"]] == [None] * 6 + [{"timeout": 2000}] * 3


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ({"handshake_ms": 20.0, "resets": [{"after_ms": 0.5}]},
         {"ttc": 20.0, "rt": 20.5, "err": "Connection reset by peer"}),
        ({"handshake_ms": 20.0, "data": [{"after_ms": 21.5}]}, {"ttc": 20.0, "rt": 41.5}),
        ({"handshake_ms": 20.0}, {"ttc": 20.0, "err": "timeout"}),
        ({"failure": "refused"}, {"err": "connect: Connection refused"}),
        ({"failure": "error"}, {"err": "connect: unknown_failure: error"}),
        ({"failure": "lost_race"}, {"err": "Connection reset by peer"}),
    ],
)  # fmt: skip
def test_tls_that_was_tried(trial: dict[str, Any], said: dict[str, Any]) -> None:
    own = {"trigger": "tls", "port": 8443, "trials": [trial], "twins": [], "control_trials": []}
    (result,), lost = export(made("tcp_reset", own, address="203.0.113.10"))
    assert {key: result[key] for key in result if key in ("ttc", "rt", "err")} == said
    assert (result["type"], result["msm_name"], result["dst_port"], result["method"]) == (
        "sslcert", "SSLCert", "8443", "TLS"
    )  # fmt: skip
    assert lost == {"certificates and pages of tcp_reset: in the evidence alone": 1}


def test_tls_that_failed_at_the_servers_and_at_the_far_end() -> None:
    servers = {"before": {"192.0.2.1": {"right": False, "failure": "timeout"}, "192.0.2.2": {"right": True}}}
    own = {"resolver": "", "control_resolver": "", "silent": "", "resolved_by": {}, "answers": {}, "servers": servers}
    (result,), _ = export(made("dns_resolver", own))
    assert (result["dst_addr"], result["dst_port"], result["err"]) == ("192.0.2.1", "443", "timeout")
    looks = {"tls, trial, known port, target name": [{"failure": "alert"}, {"touched": False}]}
    (result,), _ = export(made("tampering", {"far": "192.0.2.9", "ports": {"tls": [443, 28389]}, "looks": looks}))
    assert (result["dst_addr"], result["dst_port"], result["err"]) == ("192.0.2.9", "443", "alert")


def test_what_is_no_date_and_what_does_not_fit_is_counted() -> None:
    no_date = "started_at: no date of the calendar"
    assert export(made("ttl_path", TRACE, started_at="2026-02-30T25:61:61.000Z")) == ([], {no_date: 1})
    lost = export(made("ttl_path", {"protocol": 5}))[1]
    assert lost == {"details of ttl_path: Expected `str`, got `int` - at `$.protocol`": 1}


def test_identifiers_are_those_of_the_names_and_no_others() -> None:
    assert atlas.own_id("a", "b") == atlas.own_id("a", "b") == 1431124910
    assert len({atlas.own_id("a", "b"), atlas.own_id("ab"), atlas.own_id("b", "a"), atlas.own_id("a")}) == 4


@given(st.data())
def test_whatever_the_details_hold_results_come_of_it_or_a_reason(data: st.DataObject) -> None:
    finding = golden(data.draw(st.sampled_from(TECHNIQUES)))
    details = copy.deepcopy(finding.details)
    mutated(details, data)
    export(msgspec.structs.replace(finding, details=details))


@given(st.text(max_size=300), JSON)
def test_whatever_the_name_results_come_of_it_or_a_reason(name: str, said: Any) -> None:
    trial = [{"after_ms": 1, "ttl": 1, "answers": [f"1 {name}", f"16 {name}", f"{said}"]}]
    own = {"resolver": "192.0.2.1", "silent": "", "silent_trials": [], "resolver_trials": [trial]}
    export(made("dns_injection", own, name=name[:256]))
