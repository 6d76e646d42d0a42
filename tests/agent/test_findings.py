"""From an outcome to a finding: ids, instants, what is refused, what evidence travels."""

from __future__ import annotations

import gzip
import os
import re
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.agent.findings import MOST_EVIDENCE, assemble, instant, pack_evidence, uuid7
from probe.model.errors import MalformedRecord
from probe.model.finding import Evidence, Judgement, Line, Probe, Target
from probe.model.outcome import Outcome


def outcome(pcapng: bytes = b"packets", **judged: Any) -> Outcome:
    fields: dict[str, Any] = {"verdict": "clean", "rule": "r", "target": Target("example.com", group="a")}
    return Outcome(
        measurement="dns_injection",
        version="1",
        judgement=Judgement(**fields | judged),
        started=1_767_225_600.0426,
        duration=1.23456,
        clock="synchronised",
        evidence=Evidence(packets=3),
        pcapng=pcapng,
    )


def made(group: str = "", **judged: Any) -> Any:
    line = Line("Operator A", 64500, "MA", "fixed")
    return assemble(outcome(**judged), probe=Probe("p-1", "c"), line=line, group=group, entropy=os.urandom)


@given(st.floats(0, 2**47 / 1000), st.binary(min_size=10, max_size=10))
def test_ids_are_uuids_of_version_7_and_bear_their_time(epoch: float, chance: bytes) -> None:
    text = uuid7(epoch, lambda n: chance[:n])
    parsed = UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, "specified in RFC 4122")
    assert parsed.int >> 80 == int(epoch * 1000)
    assert parsed.int & (1 << 62) - 1 == int.from_bytes(chance, "big") & (1 << 62) - 1


def test_ids_of_one_moment_differ() -> None:
    assert len({uuid7(1.0, os.urandom) for _ in range(1000)}) == 1000


def test_instants_are_rfc_3339_with_milliseconds() -> None:
    assert instant(0.0) == "1970-01-01T00:00:00.000Z"
    assert instant(1_767_225_600.0426) == "2026-01-01T00:00:00.042Z"


def test_a_finding_says_what_was_judged_by_whom_where_and_when() -> None:
    finding = made(group="press", reasons=["because"], confidence=1)
    assert finding.started_at == "2026-01-01T00:00:00.042Z"
    assert finding.duration_s == 1.235
    assert finding.target == Target("example.com", group="press")
    assert finding.probe.id == "p-1"
    assert finding.line.asn == 64500
    assert finding.reasons == ["because"]
    assert finding.evidence.packets == 3
    assert finding.signature is None
    assert re.match("0", finding.id)
    assert made().target.group == "a"


@pytest.mark.parametrize(
    "judged",
    [{"confidence": 1.5}, {"reasons": ["x" * 2000]}, {"target": Target("x" * 2000)}, {"details": {"x": {1, object()}}}],
)
def test_what_the_contract_does_not_allow_is_refused_here_and_not_by_the_collector(judged: dict[str, Any]) -> None:
    with pytest.raises(MalformedRecord, match="finding of dns_injection"):
        made(**judged)


def test_details_come_out_as_json_has_them() -> None:
    assert made(details={"t": (1, 2), "b": b"\x00"}).details == msgspec.json.decode(b'{"t": [1, 2], "b": "AA=="}')


def test_evidence_travels_compressed_unless_clean_or_too_large() -> None:
    packed = pack_evidence(outcome(verdict="down"))
    assert packed is not None
    assert gzip.decompress(packed) == b"packets"
    assert pack_evidence(outcome(verdict="down")) == packed
    assert pack_evidence(outcome()) is None
    assert pack_evidence(outcome(pcapng=b"", verdict="down")) is None
    assert pack_evidence(outcome(pcapng=os.urandom(MOST_EVIDENCE + 1), verdict="down")) is None
    assert pack_evidence(outcome(pcapng=bytes(9 << 20), verdict="down")) is None
