"""Two kinds of ways side by side."""

from __future__ import annotations

import pytest

from probe.measurements._hole.ways import FLOWS, Aim, Ways, common, survey
from probe.measurements._reach import ICMP, UDP, Sight, tcp
from probe.model.exchange import EchoStep, Exchange, Heard, PauseStep, Step, SynStep, UdpStep
from tests.measurements.test_reach import error

SUBJECT = Aim("198.51.100.10", (tcp(80), tcp(443), UDP, ICMP))
ONE, TWO = Aim("203.0.113.10", (tcp(80),)), Aim("203.0.113.180", (tcp(80),))


def shown(ways: Ways, aim: Aim, ttl: int, router: str = "", times: int = 1, answer: bool = False) -> None:
    for _ in range(times):
        ways.add(aim, Sight(probe=aim.probe(0), ttl=ttl, router=router, answer="open" if answer else ""))


def test_an_aim_takes_its_probes_in_turn() -> None:
    assert [SUBJECT.probe(i) for i in range(5)] == [tcp(80), tcp(443), UDP, ICMP, tcp(80)]
    assert SUBJECT.each(0) == [tcp(80), UDP, ICMP]
    assert SUBJECT.each(1) == [tcp(443), UDP, ICMP]


def test_what_is_common_ends_at_the_last_router_that_serves_all() -> None:
    ways = Ways()
    for aim, own in ((ONE, "a"), (TWO, "b")):
        for ttl in (1, 2, 4):
            shown(ways, aim, ttl, f"r{ttl}")
        shown(ways, aim, 5, own)
    assert common(ways, [ONE, TWO]) == 4
    assert common(ways, [ONE]) == 0
    shown(ways, ONE, 3, "r4")  # on a shorter way
    assert common(ways, [ONE, TWO]) == 3
    assert common(ways, [ONE, SUBJECT]) == 0


def test_vanishing_is_a_matter_of_chance() -> None:
    ways = Ways()
    shown(ways, SUBJECT, 5, times=4)
    shown(ways, ONE, 5, "r5", times=8)
    assert not ways.vanishes(SUBJECT, [ONE], 5)
    shown(ways, SUBJECT, 5, times=4)
    assert ways.vanishes(SUBJECT, [ONE], 5)
    shown(ways, SUBJECT, 5, "r5")
    assert not ways.vanishes(SUBJECT, [ONE], 5)
    assert not ways.vanishes(SUBJECT, [ONE], 6)


def test_the_farthest_router_and_the_address() -> None:
    ways = Ways()
    assert (ways.last(ONE), ways.arrives(ONE), ways.full(ONE)) == (0, None, [])
    shown(ways, ONE, 7, "r7")
    shown(ways, ONE, 8, answer=True)
    shown(ways, ONE, 64, answer=True)
    assert (ways.last(ONE), ways.arrives(ONE), len(ways.full(ONE))) == (7, 8, 1)


def run(dies_at: int, distance: int = 9) -> tuple[Ways, list[Step], int]:
    """A survey on a line whose every router answers, and on which packets to SUBJECT die at a hop: what it saw, what it
    sent, how often it paused."""

    def exchange(step: Step) -> Exchange:
        assert isinstance(step, SynStep | UdpStep | EchoStep)
        reach = dies_at if step.address == SUBJECT.address else distance
        back = [error(11, 0, f"198.18.0.{step.ttl}")] if step.ttl < reach else []
        return Exchange(step=step, sent_at=0.0, heard=tuple(Heard(0.01, False, packet) for packet in back))

    part = survey([SUBJECT], [ONE, TWO], 8, 1.0)
    sent: list[Step] = []
    batch = next(part)
    pauses = 0
    while True:
        pauses += isinstance(batch[0], PauseStep)
        sent += batch
        try:
            batch = part.send([Exchange(step=s) if isinstance(s, PauseStep) else exchange(s) for s in batch])
        except StopIteration as stop:
            return stop.value, sent, pauses


def test_a_survey_asks_both_alike_and_ends_when_it_knows() -> None:
    ways, sent, pauses = run(5)
    assert ways.last(SUBJECT) == 4
    assert ways.vanishes(SUBJECT, [ONE, TWO], 5)
    assert pauses == 0
    full = ways.full(SUBJECT)
    assert [sum(s.probe.kind == kind for s in full) for kind in ("tcp", "udp", "icmp")] == [FLOWS] * 3
    steps = [step for step in sent if isinstance(step, SynStep | UdpStep | EchoStep)]
    assert max(step.ttl for step in steps if step.ttl != 64) <= 11
    flows = {step.flow for step in steps if step.address == SUBJECT.address and step.ttl == 64}
    assert len(flows) == FLOWS


@pytest.mark.parametrize("dies_at", [9, 20])
def test_a_survey_that_finds_nothing_ends_too(dies_at: int) -> None:
    ways, sent, pauses = run(dies_at)
    assert ways.last(SUBJECT) >= 8
    assert pauses == 0
    assert len(sent) < 500
