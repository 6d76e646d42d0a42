"""Findings checked beside the subscriber's thread: as in it, in their order, whatever becomes of the process."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import checkers, instants
from probe.collector.checkers import MANY, PORTION, Checked, Checkers, Letter, check, portions, receive, send
from probe.collector.ingest import conclude
from probe.collector.keyring import Keyring
from probe.collector.verdicts import Accepted, NewFinding, Rejected
from probe.model import feed
from probe.model.finding import Finding

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]
Wire = Callable[[Finding], tuple[str, bytes]]


@pytest.fixture
def lanes() -> Iterator[Checkers]:
    made = Checkers(2)
    yield made
    made.close()


@pytest.fixture
def letters(probes: Probes, wire: Wire) -> list[Letter]:
    """More than a portion, of every kind that a finding's topic may bring."""
    found = list[Letter]()
    for number in range(PORTION + 2 * MANY):
        finding = probes(f"p-{number}").finding(signed=number % 5 != 0, at=NOON - number, details={"n": [1]})
        topic, payload = wire(finding)
        match number % 9:
            case 1:
                payload = payload.replace(b"All agreed", b"None agreed")
            case 2:
                payload = payload[:-1]
            case 3:
                topic = feed.finding(f"p-{number}", "voip")
            case 4:
                topic = feed.finding("p-other", "dns_injection")
            case 5:
                payload = payload.replace(b'"verdict":"', b'"verdict":"very ')
        found.append((topic, payload))
    return found


def answers(lanes: Checkers, letters: list[Letter]) -> list[Checked]:
    return [one for some in lanes.submit(letters, NOON) for one in some.result()]


def concluded(checked: list[Checked]) -> list[Accepted | Rejected]:
    """Without the details of findings: a process leaves them out."""
    keyring = Keyring({}, {})
    found = [conclude(*one, keyring) for one in checked]
    return [
        msgspec.structs.replace(one, finding=msgspec.structs.replace(one.finding, details={}))
        if isinstance(one, NewFinding) else one
        for one in found
    ]  # fmt: skip


def test_a_process_says_what_this_one_says(lanes: Checkers, letters: list[Letter]) -> None:
    found = concluded(answers(lanes, letters))
    assert lanes._lanes[0]._process is not None
    assert not lanes._lanes[0]._alone
    assert found == concluded(check(letters, NOON))
    reasons = {one.reason for one in found if isinstance(one, Rejected)}
    assert reasons == {"bad_signature", "bad_json", "bad_schema", "wrong_probe", "wrong_measurement"}
    assert sum(isinstance(one, NewFinding) for one in found) > len(letters) / 3


def test_few_need_no_process(lanes: Checkers, letters: list[Letter]) -> None:
    assert concluded(answers(lanes, letters[: MANY - 1])) == concluded(check(letters[: MANY - 1], NOON))
    assert [lane._process for lane in lanes._lanes] == [None, None]


def test_a_process_that_is_killed_loses_nothing(
    lanes: Checkers, letters: list[Letter], caplog: pytest.LogCaptureFixture
) -> None:
    expected = concluded(check(letters, NOON))
    assert concluded(answers(lanes, letters)) == expected
    for lane in lanes._lanes:
        assert lane._process is not None
        os.kill(lane._process.pid, signal.SIGSTOP)
    waiting = [*lanes.submit(letters, NOON), *lanes.submit(letters, NOON)]
    for lane in lanes._lanes:
        assert lane._process is not None
        lane._process.kill()
    assert concluded([one for some in waiting for one in some.result()]) == expected * 2
    assert concluded(answers(lanes, letters)) == expected
    assert caplog.text.count("without a process of their own") == 2, "once for each"


def test_where_no_process_can_be_begun(
    lanes: Checkers, letters: list[Letter], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert concluded(answers(lanes, letters)) == concluded(check(letters, NOON))
    assert "/nowhere/python" in caplog.text


def test_a_stop_is_not_for_the_process(lanes: Checkers, letters: list[Letter]) -> None:
    answers(lanes, letters)
    for lane in lanes._lanes:
        assert lane._process is not None
        os.kill(lane._process.pid, signal.SIGTERM)
        os.kill(lane._process.pid, signal.SIGINT)
    assert concluded(answers(lanes, letters)) == concluded(check(letters, NOON))
    lanes.close()
    assert [lane._process.returncode for lane in lanes._lanes if lane._process is not None] == [0, 0]


@given(st.lists(st.sampled_from([0, 1, checkers.BYTES // 3, checkers.BYTES, checkers.BYTES + 1]), max_size=400))
def test_portions_hold_everything_in_order(sizes: list[int]) -> None:
    some: list[Any] = [(str(number), _Sized(size)) for number, size in enumerate(sizes)]
    parts = list(portions(some))
    assert [one for part in parts for one in part] == some
    for part in parts:
        assert 1 <= len(part) <= PORTION
        assert len(part) == 1 or sum(len(payload) for _, payload in part) <= checkers.BYTES


class _Sized:
    """As long as it says."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(0, 20))
def test_what_is_sent_is_received(parts: list[bytes], lost: int) -> None:
    pipe = io.BytesIO()
    for part in parts:
        send(pipe, part)
    pipe.seek(0)
    assert [receive(pipe) for _ in parts] == parts
    assert receive(pipe) == b""
    whole = pipe.getvalue()
    cut = io.BytesIO(whole[: max(0, len(whole) - 1 - lost)])
    got = [receive(cut) for _ in parts]
    assert got[-1:] in ([], [b""]), "what is cut short counts as the end"


def test_what_is_no_finding_is_none_of_its_business() -> None:
    beat = msgspec.json.encode({"schema": "colibri.heartbeat/1"})
    (one, _), = check([(feed.availability("p-one"), b"online")], NOON)
    with pytest.raises(TypeError, match="Presence"):
        checkers._report(one, is_genuine=False)
    assert isinstance(check([(feed.heartbeat("p-one"), beat)], NOON)[0][0].judgement, Rejected)
