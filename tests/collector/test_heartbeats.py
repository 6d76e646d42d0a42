"""Which heartbeats are believed, and what a silence was by their word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import heartbeats, instants
from probe.collector.heartbeats import Life, Silence, silences
from probe.collector.ingest import judge_message
from probe.collector.keyring import Keyring
from probe.collector.verdicts import NewHeartbeat, Rejected
from probe.model import canonical, feed
from probe.model.heartbeat import Heartbeat
from tests.model.test_heartbeat import SAMPLE

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

NOW = instants.from_text("2026-11-22T02:37:32.000Z")
HOUR = instants.HOUR
Probes = Callable[..., "FakeProbe"]


def signed(probe: FakeProbe, **changes: Any) -> bytes:
    one = msgspec.convert(SAMPLE | {"probe": probe.name} | changes, Heartbeat)
    return msgspec.json.encode(canonical.sign(one, probe.key))


def judge(payload: bytes, received_at: int = NOW, keyring: Keyring | None = None) -> Any:
    return judge_message(feed.heartbeat("p-one"), payload, received_at, keyring or Keyring({}, {}))


def test_a_signed_one_is_believed(probes: Probes) -> None:
    body = signed(probes())
    judged = judge(body)
    assert isinstance(judged, NewHeartbeat)
    assert (judged.at, judged.body, judged.heartbeat.sequence) == (instants.from_text(SAMPLE["at"]), body, 7)


def test_days_late_it_is_believed_by_a_clock_that_was_right_and_undated_by_one_that_was_not(probes: Probes) -> None:
    late = NOW + 5 * instants.DAY
    assert judge(signed(probes()), late).at == instants.from_text(SAMPLE["at"])
    assert judge(signed(probes(), clock="unsynchronised"), late).at is None
    assert judge(signed(probes(), clock="unsynchronised"), NOW).at == instants.from_text(SAMPLE["at"])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda body: body[:-9], "bad_json"),
        (lambda _: b"[" * 4000, "bad_json"),
        (lambda _: b"7", "bad_schema"),
        (lambda body: body + b" " * 5000, "too_large"),
        (lambda body: body.replace(b'"sequence":7', b'"sequence":-7'), "bad_schema"),
        (lambda body: body.replace(b'"sequence":7', b'"sequence":8'), "bad_signature"),
        (lambda body: body.replace(b'"p-one"', b'"p-two"'), "wrong_probe"),
        (lambda body: body.replace(b"2026-11-22T", b"1970-01-01T"), "bad_clock"),
        (lambda body: body.replace(b"2026-11-22T", b"2026-02-30T"), "bad_schema"),
    ],
)
def test_what_is_kept_aside(probes: Probes, spoil: Callable[[bytes], bytes], reason: str) -> None:
    if reason == "bad_clock":
        judged = judge(signed(probes(), at="1970-01-01T02:37:31.790Z"))
    else:
        judged = judge(spoil(signed(probes())))
    assert isinstance(judged, Rejected)
    assert judged.reason == reason


def test_it_must_be_signed_and_by_the_key_that_is_known(probes: Probes) -> None:
    unsigned = msgspec.json.encode(SAMPLE | {"probe": "p-one"})
    assert judge(unsigned).reason == "unsigned"
    owner, thief = probes(seed=1), probes(seed=2)
    pinned = Keyring({}, {"p-one": judge(signed(owner)).heartbeat.signature.key})
    assert isinstance(judge(signed(owner), keyring=pinned), NewHeartbeat)
    assert judge(signed(thief), keyring=pinned).reason == "other_key"
    assert judge(signed(thief), keyring=pinned).finding_id == SAMPLE["id"], "it is told, so that it is not sent again"


@given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(list(SAMPLE)), st.text()).map(msgspec.json.encode))
def test_nothing_that_arrives_can_raise(payload: bytes) -> None:
    assert isinstance(heartbeats.draft("p-one", payload, NOW).judgement, Rejected)


@pytest.mark.parametrize(
    ("minute", "late", "changes", "expected"),
    [
        (0, 0, {}, Life(1, 1, 1, 1)),
        (0, 600, {"connected": True}, Life(1, 1, 1, 1)),  # it was the collector that was away
        (59, 9, {"measured": 0}, Life(1 << 11, 1 << 11, 0, 1 << 11)),
        (5, 11, {"link": "down"}, Life(2, 0, 2, 0)),
        (5, 60 * 24 * 30, {"link": "unknown", "measured": 0}, Life(2, 0, 0, 0)),
    ],
)
def test_what_one_proves_of_its_hour(minute: int, late: int, changes: dict[str, Any], expected: Life) -> None:
    at = 1000 * HOUR + minute * instants.MINUTE
    one = msgspec.convert(SAMPLE | changes, Heartbeat)
    assert heartbeats.life(one, at, at + late * instants.MINUTE) == (1000 * HOUR, expected)


def test_a_silence_is_told_by_who_lived_in_it() -> None:
    late, prompt, nothing = Life(alive=1), Life(alive=2, prompt=2), Life()
    lives = {10 * HOUR: [late], 11 * HOUR: [late, prompt], 12 * HOUR: [nothing], 9 * HOUR: [prompt]}
    told = silences([(9 * HOUR + 1, 15 * HOUR), (20 * HOUR, 27 * HOUR + 5)], lives)
    assert told == (
        Silence(9 * HOUR + 1, 15 * HOUR, idle=1, cut_off=1, dead=3),
        Silence(20 * HOUR, 27 * HOUR + 5, idle=0, cut_off=0, dead=7),
    )
