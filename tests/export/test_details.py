"""Details are read into types by their shape; what does not fit is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.export import details
from probe.export.details import Calls, Connections, Datagrams, Holes, Injection, Looks, Resolver, Trace
from probe.model.errors import MalformedRecord
from tests.export.conftest import TECHNIQUES, golden, made

SHAPES: dict[str, type] = {
    "block_page": Connections, "dns_injection": Injection, "dns_lie": Resolver, "dns_redirect": Resolver,
    "header_tampering": Looks, "ip_blackhole": Holes, "sip_alg": Calls, "tcp_reset": Connections,
    "trigger_drop": Connections, "voip_media": Calls, "voip_stun": Datagrams,
}  # fmt: skip
TRACE = {"protocol": "tcp", "path": [{"ttl": 1, "routers": {}, "home": True, "rtt_ms": 1.5, "changed": [],
                                      "arrived": False}]}  # fmt: skip


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_the_measurements_write_is_read(technique: str) -> None:
    assert type(details.read(golden(technique))) is SHAPES[technique]


def test_a_plain_path_is_read() -> None:
    seen = details.read(made("ttl_path", TRACE))
    assert isinstance(seen, Trace)
    assert (seen.path[0].ttl, seen.path[0].rtt_ms) == (1, 1.5)


def test_the_values_are_those_of_the_finding() -> None:
    finding = golden("dns_injection")
    seen = details.read(finding)
    assert isinstance(seen, Injection)
    assert (seen.resolver, seen.silent) == ("203.0.113.153", "203.0.113.200")
    assert [[reply.answers for reply in trial] for trial in seen.resolver_trials] == [
        [["1 198.18.0.99"], ["1 203.0.113.10"]]
    ] * 3
    assert [(hop.ttl, hop.address) for hop in seen.path][:2] == [(1, ""), (2, "198.18.30.2")]
    tampered = details.read(golden("header_tampering"))
    assert isinstance(tampered, Looks)
    assert [len(tampered.trials(kind)) for kind in ("http", "tls", "quic")] == [3, 3, 0]


@pytest.mark.parametrize("own", [{}, {"up": {"ratio": 2}, "bytes": 5}])
def test_details_that_no_export_can_use_are_none(own: dict[str, Any]) -> None:
    assert details.read(made("throttling", own)) is None


@pytest.mark.parametrize(
    ("own", "where"),
    [
        ({"resolver_trials": 5}, "Expected `array`"),
        ({"protocol": "tcp", "path": [{"ttl": 0}]}, "$.path[0].ttl"),
        ({"ends": [], "trigger": None}, "$.trigger"),
        ({"references": [], "addresses": [{"address": "x", "ports": {"eighty": "open"}}]}, "ports"),
    ],
)
def test_details_that_do_not_fit_are_said(own: dict[str, Any], where: str) -> None:
    with pytest.raises(MalformedRecord, match=r"^details of voip: ") as caught:
        details.read(made("voip", own))
    assert where in str(caught.value)


FIELDS = [field for field, _ in details._SHAPES]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), JSON, max_size=4))
def test_any_details_are_read_or_refused(own: dict[str, Any]) -> None:
    finding = made("voip", own)
    try:
        seen = details.read(finding)
    except MalformedRecord:
        assert own.keys() & set(FIELDS)
    else:
        assert (seen is None) == (not own.keys() & set(FIELDS))
