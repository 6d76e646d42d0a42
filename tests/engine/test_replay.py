"""The verdict again from the evidence alone, and clear words where that is not possible."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.agent.findings import MOST_EVIDENCE
from probe.engine.record import seal, unseal
from probe.engine.replay import replay
from probe.engine.run import run_once
from probe.lab.lab import Lab
from probe.model.errors import MalformedRecord, ReplayMismatch
from probe.model.exchange import PauseStep
from probe.model.outcome import Entry, ExchangeLog, Outcome

pytestmark = pytest.mark.lab

RUNS = {
    "an injected answer": ("sale", "dns_injection", {"target": "press.example"}),
    "a reset": ("sale", "tcp_reset", {"target": "http://press.example/", "address": "203.0.113.10"}),
    "an honest line": ("atlas", "tcp_reset", {"target": "http://press.example/", "address": "203.0.113.10"}),
    "a path": ("atlas", "ttl_path", {"target": "203.0.113.10:80", "trigger": "none"}),
}


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Outcome]]:
    """One run of each kind on the demo's lines."""
    with Lab.up("demo") as lab:
        found = {}
        for name, (operator, measurement, options) in RUNS.items():
            with lab.enter(operator):
                config = lab.config(operator)
                # places are named when a run is over, from a table that no evidence holds
                nameless = msgspec.structs.replace(config.measure, prefixes="")
                found[name] = run_once(msgspec.structs.replace(config, measure=nameless), measurement, options)
        yield found


def changed(outcome: Outcome, change: Callable[[ExchangeLog], ExchangeLog]) -> bytes:
    """The evidence with another log."""
    records, log = unseal(outcome.pcapng)
    return seal(records, change(log))[1]


@pytest.mark.parametrize("name", RUNS)
def test_the_same_judgement_from_the_packets(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    replayed = replay(outcome.pcapng)
    assert replayed.agrees
    assert replayed.judgement == outcome.judgement
    assert replayed.version == outcome.version
    assert replayed.log.rule == outcome.judgement.rule
    assert outcome.judgement.verdict == ("interfered" if RUNS[name][0] == "sale" else "clean")


@pytest.mark.long
def test_a_call_that_is_cut_fits_into_the_feed_and_is_judged_alike() -> None:
    with Lab.up("voip-media") as lab, lab.enter("oran"):
        config = lab.config("oran")
        nameless = msgspec.structs.replace(config.measure, prefixes="")
        outcome = run_once(
            msgspec.structs.replace(config, measure=nameless), "voip",
            {"target": "203.0.113.190", "reflector": "203.0.113.190"},
        )  # fmt: skip
    assert outcome.judgement.rule == "voip/payload-filtered"
    assert len(gzip.compress(outcome.pcapng, mtime=0)) <= MOST_EVIDENCE
    assert replay(outcome.pcapng).judgement == outcome.judgement


def test_a_changed_mind_is_told(outcomes: dict[str, Outcome]) -> None:
    def otherwise(log: ExchangeLog) -> ExchangeLog:
        return msgspec.structs.replace(log, verdict="clean", technique="")

    replayed = replay(changed(outcomes["a reset"], otherwise))
    assert not replayed.agrees
    assert replayed.judgement.verdict == "interfered"


def test_without_its_packets_a_run_proves_nothing(outcomes: dict[str, Outcome]) -> None:
    _, log = unseal(outcomes["a reset"].pcapng)
    with contextlib.suppress(ReplayMismatch):  # another way than the recorded one is as good
        assert replay(seal([], log)[1]).judgement.verdict != "interfered"


def test_other_rules_are_a_mismatch(outcomes: dict[str, Outcome]) -> None:
    def another_step(log: ExchangeLog) -> ExchangeLog:
        return msgspec.structs.replace(log, batches=[[Entry(step=PauseStep(seconds=1))] * len(log.batches[0])])

    def one_more_step(log: ExchangeLog) -> ExchangeLog:
        return msgspec.structs.replace(log, batches=[[*log.batches[0], log.batches[0][0]], *log.batches[1:]])

    def fewer_batches(log: ExchangeLog) -> ExchangeLog:
        return msgspec.structs.replace(log, batches=log.batches[:1])

    for change, words in (
        (another_step, "another step"), (one_more_step, "steps are recorded"), (fewer_batches, "1 recorded batches"),
    ):  # fmt: skip
        with pytest.raises(ReplayMismatch, match=words):
            replay(changed(outcomes["a reset"], change), "old.pcapng")


@pytest.mark.parametrize(
    "change",
    [
        lambda log: msgspec.structs.replace(log, measurement="no_such"),
        lambda log: msgspec.structs.replace(log, options={"gone": 1}),
        lambda log: msgspec.structs.replace(log, options={"target": ["x"]}),
        lambda log: msgspec.structs.replace(log, options={"target": ""}),
    ],
    ids=["measurement", "option", "type", "value"],
)
def test_what_today_knows_no_more_is_a_mismatch(
    outcomes: dict[str, Outcome], change: Callable[[ExchangeLog], ExchangeLog]
) -> None:
    with pytest.raises(ReplayMismatch, match=r"^old.pcapng: "):
        replay(changed(outcomes["a path"], change), "old.pcapng")


def test_no_evidence_is_told_apart() -> None:
    with pytest.raises(MalformedRecord, match="neither pcapng"):
        replay(b"not a capture")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_damaged_evidence_never_crashes_a_rule(outcomes: dict[str, Outcome], data: st.DataObject) -> None:
    outcome = outcomes[data.draw(st.sampled_from(sorted(RUNS)))]
    evidence = bytearray(outcome.pcapng)
    # behind the log: the packets themselves
    start = len(seal([], unseal(outcome.pcapng)[1])[1])
    for _ in range(data.draw(st.integers(1, 30))):
        evidence[data.draw(st.integers(start, len(evidence) - 1))] = data.draw(st.integers(0, 255))
    try:
        replayed = replay(bytes(evidence))
    except (MalformedRecord, ReplayMismatch):
        return
    assert replayed.judgement.verdict in ("clean", "interfered", "down", "inconclusive")
