"""Contract 3's topics and small messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model import feed
from probe.model.feed import Info, PublicEvent, PublicState, State, Stored

ID = "0190a3b2-7c1d-7e2f-8a3b-4c5d6e7f8091"


def test_the_topics_are_those_of_the_contract() -> None:
    assert feed.availability("p-1") == "colibri/v1/p-1/availability"
    assert feed.info("p-1") == "colibri/v1/p-1/info"
    assert feed.finding("p-1", "dns_injection") == "colibri/v1/p-1/finding/dns_injection"
    assert feed.evidence("p-1", ID) == f"colibri/v1/p-1/evidence/{ID}"
    assert feed.stored("p-1") == "colibri/v1/p-1/stored"
    assert feed.public_state("MA", "AS64501", "press.example") == (
        "colibri/v1/public/state/MA/09baa1299308aa63/ccf670dc6b173790"
    )
    assert feed.public_state("", "", "").startswith("colibri/v1/public/state/ZZ/")
    assert feed.public_incident("opened") == "colibri/v1/public/incident/opened"
    assert feed.public_case("closed") == "colibri/v1/public/case/closed"
    assert (feed.AVAILABLE, feed.GONE) == (b"online", b"offline")


@pytest.mark.parametrize(
    ("target", "digest"),
    [
        ("press.example", "ccf670dc6b173790"),
        ("http://press.example/a+b#c", "c1581e6d62fa9a3f"),
        ("", "e3b0c44298fc1c14"),
    ],
)
def test_the_hash_of_a_target_is_for_good(target: str, digest: str) -> None:
    """Retained messages stay on brokers under these names."""
    assert feed.short_hash(target) == digest


@given(st.text(max_size=60))
def test_no_target_can_leave_its_level(target: str) -> None:
    topic = feed.state("p-1", "tcp_reset", target)
    head, _, last = topic.rpartition("/")
    assert head == "colibri/v1/p-1/state/tcp_reset"
    assert len(last) == 16
    assert set(last) <= set("0123456789abcdef")


@given(st.lists(st.text(max_size=20), unique=True, min_size=2, max_size=20))
def test_targets_are_told_apart(targets: list[str]) -> None:
    assert len({feed.state("p", "m", target) for target in targets}) == len(targets)


MESSAGES: list[tuple[type, dict[str, Any]]] = [
    (Stored, {"schema": "colibri.stored/1", "ids": [ID], "refused": {ID: "clock"}}),
    (Info, {"schema": "colibri.info/1", "probe": "p-1", "software": "colibri 0.1.0",
            "line": {"operator": "", "asn": 0, "country": "", "access": "unknown"}, "measurements": {"tcp_reset": "1"},
            "finding_schema": "colibri.finding/1", "spool_depth": 3, "dropped": 0, "paused": False,
            "at": "2026-01-02T03:04:05.678Z"}),
    (State, {"schema": "colibri.state/1", "id": ID, "measurement": "tcp_reset",
             "target": {"input": "x", "name": "", "address": "", "port": 0, "group": ""},
             "line": {"operator": "", "asn": 0, "country": "MA", "access": "mobile"}, "verdict": "clean",
             "interference": None, "confidence": 1.0, "at": "2026-01-02T03:04:05.678Z"}),
    (PublicState, {"schema": "colibri.public.state/1", "country": "MA", "operator": "Atlas", "asn": 64501,
                   "target": {"input": "x", "name": "", "port": 0, "group": ""},
                   "verdicts": [{"measurement": "tcp_reset", "access": "fixed", "verdict": "clean", "technique": None,
                                 "placement": "unknown", "since": "2026-01-02T03:04:00.000Z",
                                 "last": "2026-01-02T03:04:00.000Z", "agree": 2, "probes": 3}],
                   "at": "2026-01-02T03:04:00.000Z"}),
    (PublicEvent, {"schema": "colibri.public.event/1", "event": "opened", "at": "2026-01-02T03:04:00.000Z",
                   "incident": {"schema": "colibri.public.incident/1", "id": "0123456789abcdef", "country": "MA",
                                "operator": "AS64501", "access": "mobile", "measurement": "voip", "target": "x",
                                "technique": "voip_stun", "state": "open",
                                "began": {"after": None, "until": "2026-01-02T03:04:00.000Z"}, "ended": None,
                                "homes": 2, "heard": 3, "dissent": 1, "share": 0.5, "hours": [[1, 2]],
                                "intermittent": False,
                                "exemptions": [{"homes": 1, "since": "2026-01-02T03:04:00.000Z", "until": None}],
                                "silent": [{"since": "2026-01-02T03:04:00.000Z", "until": "2026-01-02T13:04:00.000Z",
                                            "idle": 1, "cut_off": 2, "dead": 6}],
                                "sure": 0.2, "counted": "prefix"}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sample"), MESSAGES, ids=[kind.__name__ for kind, _ in MESSAGES])
def test_small_messages_keep_their_names(kind: type, sample: dict[str, Any]) -> None:
    message: Any = msgspec.convert(sample, kind)
    assert msgspec.to_builtins(message) == sample
    assert msgspec.json.decode(msgspec.json.encode(message), type=kind) == message


@pytest.mark.parametrize("ids", [["x"], [ID.upper()], ["../etc"], "all"])
def test_stored_names_ids_only(ids: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"ids": ids}, Stored)
