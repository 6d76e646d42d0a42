"""Judging messages: what is accepted, and every way to be rejected."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import instants
from probe.collector.ingest import (
    MAX_CAPTURE,
    MAX_EVIDENCE,
    MAX_FINDING,
    conclude,
    digest_of,
    draft,
    judge_message,
    unpack,
)
from probe.collector.keyring import Keyring
from probe.collector.verdicts import Introduction, NewEvidence, NewFinding, Presence, Rejected
from probe.model import feed
from probe.model.finding import Finding, Probe

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
ID = "01950000-0000-7000-8000-000000000001"
PCAPNG = b"\x0a\x0d\x0d\x0a" + bytes(60)

Wire = Callable[[Finding], tuple[str, bytes]]
Probes = Callable[..., "FakeProbe"]


def judge(topic: str, payload: bytes) -> Any:
    return judge_message(topic, payload, NOON, Keyring({}, {}))


def rejected(topic: str, payload: bytes) -> Rejected:
    judgement = judge(topic, payload)
    assert isinstance(judgement, Rejected), judgement
    return judgement


def changed(message: tuple[str, bytes], **fields: object) -> tuple[str, bytes]:
    """The message with fields of its JSON replaced, and its signature left as it was."""
    topic, payload = message
    return topic, msgspec.json.encode({**msgspec.json.decode(payload), **fields})


def test_a_signed_finding_is_accepted_with_its_key_and_time(probes: Probes, wire: Wire) -> None:
    finding = probes().finding("interfered", at=NOON - 5)
    judgement = judge(*wire(finding))
    assert isinstance(judgement, NewFinding)
    assert judgement.finding == finding
    assert judgement.at == NOON - 5
    assert finding.signature is not None
    assert judgement.key == finding.signature.key


def test_an_unsigned_finding_is_accepted_where_no_key_is_known(probes: Probes, wire: Wire) -> None:
    judgement = judge(*wire(probes().finding(signed=False)))
    assert isinstance(judgement, NewFinding)
    assert judgement.key == ""


def test_fields_of_a_newer_probe_are_allowed_and_signed_with_the_rest(probes: Probes, wire: Wire) -> None:
    topic, payload = wire(probes().finding(signed=False))
    assert isinstance(judge(*changed((topic, payload), weather="rain")), NewFinding)
    assert rejected(*changed(wire(probes().finding()), weather="rain")).reason == "bad_signature"


def test_the_digest_ignores_the_order_of_keys(probes: Probes, wire: Wire) -> None:
    topic, payload = wire(probes().finding())
    backwards = msgspec.json.encode(dict(reversed(msgspec.json.decode(payload).items())))
    assert backwards != payload
    assert judge(topic, backwards).digest == judge(topic, payload).digest


def test_the_digest_tells_contents_apart_and_covers_the_signature(probes: Probes, wire: Wire) -> None:
    probe = probes()
    payloads = {wire(probe.finding(reasons=[text]))[1] for text in ("one", "two")}
    payloads.add(changed(("", min(payloads)), signature=None)[1])
    payloads.add(changed(("", min(payloads)), details={"n": 2**60})[1])
    assert len({digest_of(payload) for payload in payloads}) == 4
    assert {len(digest_of(payload)) for payload in payloads} == {16}


@given(st.data())
def test_keys_that_come_twice_are_judged_by_what_was_signed(data: st.DataObject) -> None:
    content = msgspec.json.decode(SIGNED)
    twice = data.draw(st.sampled_from(["verdict", "probe", "line", "details", "id", "trials"]))
    others = ['"interfered"', '{"id":"p-one","software":""}', "{}", "null", '{"made":9,"agreed":9}']
    other = data.draw(st.sampled_from(others))
    payload = SIGNED.replace(f'"{twice}":'.encode(), f'"{twice}":{other},"{twice}":'.encode(), 1)
    judgement = judge(feed.finding("p-one", "dns_injection"), payload)
    if isinstance(judgement, NewFinding):
        assert msgspec.to_builtins(judgement.finding) == content
    turned = SIGNED.replace(b'"started_at"', f'"{twice}":{other},"started_at"'.encode(), 1)
    judgement = judge(feed.finding("p-one", "dns_injection"), turned)
    assert isinstance(judgement, Rejected) or msgspec.to_builtins(judgement.finding) == content


def test_what_follows_is_of_the_first_objection(probes: Probes, wire: Wire) -> None:
    _, payload = changed(wire(probes().finding(started_at="1970-01-01T00:00:07.000Z")), rule="other")
    assert rejected(feed.finding("p-one", "voip"), payload).reason == "bad_signature"
    _, payload = wire(probes().finding(started_at="1970-01-01T00:00:07.000Z"))
    assert rejected(feed.finding("p-one", "voip"), payload).reason == "wrong_measurement"
    one = draft(feed.finding("p-one", "dns_injection"), payload, NOON)
    assert one.claim is not None
    assert conclude(one, False, Keyring({}, {})) == Rejected(
        "bad_signature", "the signature does not fit the content", "p-one", msgspec.json.decode(payload)["id"]
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null and void",
        b"[" * 100_000,
        b'{"a":' * 5000,
        b'"\xed\xa0\x80"',
        b'{"id": "\\ud800"}',
    ],
)
def test_broken_json(payload: bytes) -> None:
    judgement = rejected(feed.finding("p-one", "dns_injection"), payload)
    assert judgement.reason == "bad_json"
    assert judgement.probe == "p-one"
    assert judgement.finding_id == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": "guilty"},
        {"schema": "colibri.finding/2"},
        {"confidence": 7},
        {"reasons": "one sentence"},
        {"reasons": ["x" * 1025]},
        {"trials": {"made": -1, "agreed": 0}},
        {"started_at": "yesterday"},
        {"started_at": "2026-02-30T00:00:00.000Z"},
        {"interference": {"technique": "magic"}},
        {"line": {"country": "Morocco"}},
    ],
)
def test_a_wrong_schema_still_names_the_finding_so_that_the_probe_can_be_told(
    probes: Probes, wire: Wire, fields: dict[str, object]
) -> None:
    finding = probes().finding()
    judgement = rejected(*changed(wire(finding), **fields))
    assert (judgement.reason, judgement.probe, judgement.finding_id) == ("bad_schema", "p-one", finding.id)


def test_a_wrong_schema_names_nothing_that_belongs_to_another(probes: Probes, wire: Wire) -> None:
    message = changed(wire(probes().finding()), verdict="guilty", probe={"id": "p-two", "software": ""})
    assert rejected(*message).finding_id == ""
    assert rejected(*changed(wire(probes().finding()), id=7)).finding_id == ""


def test_nesting_at_the_edge_of_the_stack(probes: Probes, wire: Wire) -> None:
    _, payload = wire(probes().finding(signed=False))
    kinds = set()
    for depth in range(1, 1100, 7):
        nested = b'{"n":' * depth + b"1" + b"}" * depth
        judgement = judge(
            feed.finding("p-one", "dns_injection"), payload.replace(b'"details":{}', b'"details":' + nested)
        )
        kinds.add(judgement.reason if isinstance(judgement, Rejected) else "accepted")
    assert kinds == {"accepted", "bad_json"}


def test_ten_megabytes_are_not_even_decoded() -> None:
    judgement = rejected(feed.finding("p-one", "dns_injection"), b"x" * 10_000_000)
    assert judgement.reason == "too_large"
    assert str(MAX_FINDING) in judgement.detail


def test_the_topic_must_agree_with_the_finding(probes: Probes, wire: Wire) -> None:
    finding = probes().finding()
    _, payload = wire(finding)
    other = rejected(feed.finding("p-two", "dns_injection"), payload)
    assert (other.reason, other.probe, other.finding_id) == ("wrong_probe", "p-two", "")
    assert rejected(feed.finding("p-one", "voip"), payload).reason == "wrong_measurement"


def test_a_changed_finding_does_not_fit_its_signature(probes: Probes, wire: Wire) -> None:
    finding = probes().finding("clean")
    judgement = rejected(*changed(wire(finding), verdict="interfered"))
    assert (judgement.reason, judgement.finding_id) == ("bad_signature", finding.id)


@pytest.mark.parametrize(
    "signature", [{"key": "", "value": ""}, {"key": "AAAA", "value": "AAAA"}, {"key": "é", "value": "!"}]
)
def test_a_mangled_signature(probes: Probes, wire: Wire, signature: dict[str, str]) -> None:
    assert rejected(*changed(wire(probes().finding()), signature=signature)).reason == "bad_signature"


def test_numbers_without_a_canonical_form_can_be_signed_by_nobody(probes: Probes, wire: Wire) -> None:
    assert rejected(*changed(wire(probes().finding()), details={"n": 2**60})).reason == "bad_signature"


def test_a_known_key_is_held_against_the_finding(probes: Probes, wire: Wire) -> None:
    first, second = probes(seed=1), probes(seed=2)
    signature = first.finding().signature
    assert signature is not None
    keyring = Keyring({}, {"p-one": signature.key})
    finding = second.finding()
    judgement = judge_message(*wire(finding), NOON, keyring)
    assert isinstance(judgement, Rejected)
    assert (judgement.reason, judgement.probe, judgement.finding_id) == ("other_key", "p-one", finding.id)
    assert isinstance(judge_message(*wire(first.finding()), NOON, keyring), NewFinding)


@pytest.mark.parametrize(
    "started_at", ["1970-01-01T00:00:07.000Z", "2009-12-31T23:59:59.999Z", "2026-03-02T12:00:00.001Z"]
)
def test_a_synchronised_clock_that_can_t_be(probes: Probes, wire: Wire, started_at: str) -> None:
    judgement = rejected(*wire(probes().finding(started_at=started_at)))
    assert judgement.reason == "bad_clock"
    assert started_at in judgement.detail


def test_late_by_months_is_welcome(probes: Probes, wire: Wire) -> None:
    judgement = judge(*wire(probes().finding(started_at="2025-07-01T00:00:00.000Z")))
    assert judgement.at == instants.from_text("2025-07-01T00:00:00.000Z")


@pytest.mark.parametrize(
    ("started_at", "dated"),
    [
        ("2026-03-01T11:59:57.000Z", True),  # the collector's own clock agrees
        ("2026-03-01T12:09:00.000Z", True),
        ("2026-03-01T11:40:00.000Z", False),
        ("1970-01-01T00:00:07.000Z", False),
        ("2031-01-01T00:00:00.000Z", False),
    ],
)
def test_an_unsynchronised_clock_gives_no_date_unless_the_collectors_agrees(
    probes: Probes, wire: Wire, started_at: str, dated: bool
) -> None:
    judgement = judge(*wire(probes().finding(clock="unsynchronised", started_at=started_at)))
    assert isinstance(judgement, NewFinding)
    assert judgement.at == (instants.from_text(started_at) if dated else None)


def test_evidence_is_opened_and_hashed() -> None:
    for packed in (gzip.compress(PCAPNG), zlib.compress(PCAPNG)):
        judgement = judge(feed.evidence("p-one", ID), packed)
        assert isinstance(judgement, NewEvidence)
        assert unpack(judgement.packed) == PCAPNG
        assert len(judgement.sha256) == 64


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"PK\x03\x04",
        gzip.compress(b"#!/bin/sh"),
        gzip.compress(PCAPNG)[:-3],
        gzip.compress(PCAPNG) + b"more",
        zlib.compress(PCAPNG + bytes(MAX_CAPTURE)),
    ],
    ids=["empty", "zip", "not a capture", "cut", "trailer", "bomb"],
)
def test_evidence_that_is_none(payload: bytes) -> None:
    assert rejected(feed.evidence("p-one", ID), payload).reason == "bad_evidence"


def test_too_much_evidence() -> None:
    assert rejected(feed.evidence("p-one", ID), bytes(MAX_EVIDENCE + 1)).reason == "too_large"


def test_presence_and_introduction(probes: Probes) -> None:
    assert judge(feed.availability("p-one"), b"online") == Presence("p-one", online=True)
    assert judge(feed.availability("p-one"), b"offline") == Presence("p-one", online=False)
    assert rejected(feed.availability("p-one"), b"perhaps").reason == "bad_schema"
    info = feed.Info(
        probe="p-one",
        software="0.1.0",
        line=probes().line,
        measurements={},
        finding_schema="colibri.finding/1",
        spool_depth=0,
    )
    assert judge(feed.info("p-one"), msgspec.json.encode(info)) == Introduction(info, msgspec.json.encode(info))
    assert rejected(feed.info("p-two"), msgspec.json.encode(info)).reason == "wrong_probe"
    assert rejected(feed.info("p-one"), b"{}").reason == "bad_schema"
    assert rejected(feed.info("p-one"), b" " * 100_000).reason == "too_large"


@pytest.mark.parametrize(
    "topic",
    ["", "colibri/v1", "colibri/v1/", "colibri/v1//info", "colibri/v2/p/info", "colibri/v1/p/stored", "other/p/info",
     "colibri/v1/P!/info", "colibri/v1/p/evidence/not-an-id", "colibri/v1/p/finding/a/b"],
)  # fmt: skip
def test_topics_that_no_probe_has(topic: str) -> None:
    assert rejected(topic, b"{}").reason == "unknown_topic"


def test_somebody_else_s_probe_id(probes: Probes, wire: Wire) -> None:
    finding = probes().finding(probe=Probe("p-two", ""))
    assert rejected(feed.finding("p-one", "dns_injection"), wire(finding)[1]).reason == "wrong_probe"


@given(
    st.sampled_from(["finding/dns_injection", "availability", "info", f"evidence/{ID}", "x"]),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: st.dictionaries(
                st.sampled_from(["id", "probe", "schema", "verdict", "signature", "details", "started_at"]), inner
            ),
        ).map(msgspec.json.encode),
    ),
)
def test_nothing_that_arrives_can_raise(rest: str, payload: bytes) -> None:
    judgement = judge(f"{feed.ROOT}/p-one/{rest}", payload)
    assert isinstance(judgement, Rejected | Presence)


@given(st.data())
def test_no_mutation_of_a_finding_raises_or_keeps_its_signature(data: st.DataObject) -> None:
    payload = bytearray(SIGNED)
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    judgement = judge(feed.finding("p-one", "dns_injection"), bytes(payload))
    same = (
        isinstance(judgement, NewFinding)
        and judgement.digest == judge(feed.finding("p-one", "dns_injection"), SIGNED).digest
    )
    unsigned = isinstance(judgement, NewFinding) and not judgement.key  # its field's own name was hit
    assert same or unsigned or isinstance(judgement, Rejected)


def _signed() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from probe.model import canonical
    from probe.model.finding import Evidence, Line, Tally, Target

    finding = Finding(
        id=ID,
        measurement="dns_injection",
        version="1",
        probe=Probe("p-one", "x"),
        line=Line(),
        target=Target("a.example"),
        started_at="2026-03-01T11:00:00.000Z",
        duration_s=1.0,
        clock="synchronised",
        verdict="clean",
        interference=None,
        rule="r",
        trials=Tally(3, 3),
        controls=Tally(3, 3),
        confidence=0.5,
        reasons=["r"],
        evidence=Evidence(),
        details={},
    )
    return msgspec.json.encode(canonical.sign(finding, Ed25519PrivateKey.from_private_bytes(bytes(32))))


SIGNED = _signed()
