"""Decoding, checking and storing side by side, as if they came one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from probe.collector import instants
from probe.collector.connection import Message
from probe.collector.homes import BROKER_LOG
from probe.collector.keyring import Keyring
from probe.collector.pipeline import Committed, Pipeline
from probe.collector.sqlite_store import SqliteStore
from probe.collector.verdicts import Connected, Judged, NewFinding, Outcome, Rejected
from probe.model.errors import StoreError
from probe.model.finding import Finding

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
Probes = Callable[..., "FakeProbe"]
Wire = Callable[[Finding], tuple[str, bytes]]


class Line:
    """A pipeline on a desk's store, with what wakes its owner."""

    def __init__(self, store: SqliteStore, batch: int = 100) -> None:
        self.woken = threading.Event()
        self.pipeline = Pipeline(store, Keyring({}, {}), b"secret", batch, now=lambda: NOON, wake=self.woken.set)

    def finish(self) -> list[Committed]:
        done = []
        while not self.pipeline.empty:
            self.woken.wait(0.05)
            self.woken.clear()
            committed = self.pipeline.advance(quiet=True)
            done += [committed] if committed is not None else []
        return done


@pytest.fixture
def line(desk: Desk) -> Iterator[Line]:
    line = Line(desk.store)
    yield line
    line.pipeline.close()


def message(topic: str, payload: bytes, mid: int = 1) -> Message:
    return Message(topic, payload, mid, 1, 1)


def judged(done: list[Committed]) -> list[Judged]:
    return [one for committed in done for one in committed.judged]


def test_order_is_kept_and_everything_is_answered(desk: Desk, line: Line, probes: Probes, wire: Wire) -> None:
    line.pipeline._batch = 7
    probe = probes()
    sent = [message(*wire(probe.finding()), mid) for mid in range(1, 30)]
    sent[4] = message("other/topic", b"", 5)
    for start in range(0, len(sent), 10):
        line.pipeline.take(sent[start : start + 10])
    done = line.finish()
    assert [m for committed in done for m in committed.messages] == sent
    assert max(len(committed.messages) for committed in done) == 7
    outcomes = [outcome for committed in done for outcome in committed.outcomes]
    assert [outcome.kind for outcome in outcomes] == ["stored"] * 4 + ["rejected"] + ["stored"] * 24
    assert line.pipeline.size == 0
    assert desk.reader.counters()["stored"] == 28


def test_a_second_key_is_refused_though_the_first_is_not_stored_yet(line: Line, probes: Probes, wire: Wire) -> None:
    owner, thief, late = (wire(probes(seed=seed).finding()) for seed in (1, 2, 2))
    line.pipeline.take([message(*owner), message(*thief)])
    line.pipeline.take([message(*late)])
    reasons = [one.judgement.reason if isinstance(one.judgement, Rejected) else "" for one in judged(line.finish())]
    assert reasons == ["", "other_key", "other_key"]


def test_signed_unsigned_and_false_among_each_other(line: Line, probes: Probes, wire: Wire) -> None:
    kinds = []
    for number in range(12):
        probe = probes(f"p-{number}")
        topic, payload = wire(probe.finding(signed=number % 3 != 0))
        kinds.append(message(topic, payload.replace(b"All agreed", b"None agreed") if number % 3 == 1 else payload))
    line.pipeline.take(kinds)
    found = [one.judgement for one in judged(line.finish())]
    assert [isinstance(one, NewFinding) for one in found] == [True, False, True] * 4
    assert {one.reason for one in found if isinstance(one, Rejected)} == {"bad_signature"}


def test_a_line_of_the_brokers_log_leaves_no_address(line: Line) -> None:
    told = b"1700000000: New client connected from 203.0.113.9:4711 as p-one (p2, c1, k60, u'p-one')."
    line.pipeline.take([message(BROKER_LOG, told)])
    (one,) = judged(line.finish())
    assert isinstance(one.judgement, Connected)
    assert (one.topic, one.payload) == ("", b"")


def test_a_store_that_fails_ends_it(desk: Desk, probes: Probes, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_batch: list[Judged], *, more: bool) -> list[Outcome]:
        raise StoreError("disk full")

    monkeypatch.setattr(desk.store, "commit", fail)
    line = Line(desk.store)
    line.pipeline.take([message(*wire(probes().finding()))])
    with pytest.raises(StoreError, match="disk full"):
        line.finish()
    line.pipeline.close()


def test_what_arrives_during_a_commit_waits_for_the_next(
    desk: Desk, probes: Probes, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, sizes, commit = threading.Event(), list[int](), desk.store.commit

    def slow(batch: list[Judged], *, more: bool) -> list[Outcome]:
        sizes.append(len(batch))
        assert gate.wait(10)
        return commit(batch, more=more)

    monkeypatch.setattr(desk.store, "commit", slow)
    line, probe = Line(desk.store), probes()
    line.pipeline.take([message(*wire(probe.finding()))])
    while not sizes:
        line.pipeline.advance(quiet=True)
    for _ in range(5):
        line.pipeline.take([message(*wire(probe.finding()))])
    gate.set()
    line.finish()
    line.pipeline.close()
    assert sizes[0] == 1
    assert sum(sizes) == 6
    assert len(desk.reader.findings(10)) == 6
