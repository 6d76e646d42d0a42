"""Rounds of calls and streams, and the time they take."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from probe.measurements import Context, Part
from probe.measurements._far import Far
from probe.measurements._voip.ask import Line, Stopwatch
from probe.measurements._voip.media import SPARSE
from probe.model.exchange import PauseStep, Step
from probe.model.reflector import Grant
from probe.wire import reflector
from tests.measurements.simcalls import CALLS, Filter, calls_net
from tests.measurements.simfar import EPOCH, FAR, HOME
from tests.measurements.simnet import Internet, drive

TOKEN = reflector.mint(CALLS.secret, reflector.source_key(HOME[4]), EPOCH).hex()


def line(udp: tuple[int, ...] = CALLS.udp, tcp: tuple[int, ...] = CALLS.tcp) -> Line:
    grant = Grant(token=TOKEN, udp=udp, tcp=tcp, random=CALLS.random, zone="r.example")
    return Line(Far(FAR[4], grant), Context(Random(1)))


def test_a_round_has_as_many_calls_of_each_cell_in_turns() -> None:
    calls = line().calls(["stun", "sip"], 5)
    cells = Counter((c.protocol, c.known, c.twin) for c in calls)
    assert set(cells.values()) == {5}
    assert len({c.flow for c in calls}) == len(calls) == 40
    assert all((c.port in CALLS.random) is not c.known for c in calls)
    assert [c.twin for c in calls[:4]] != [c.twin for c in calls[8:12]]


def test_only_what_is_served_is_asked() -> None:
    assert line().served() == ["sip", "sip_tcp", "sip_tls", "stun", "turn"]
    bare = line(udp=(5060, 20_001), tcp=(5061,))
    assert bare.served() == ["sip"]
    assert set(bare.unserved()) == {"sip_tcp", "sip_tls", "stun", "turn", "rtp"}
    assert line().unserved() == []
    assert not bare.media_ports()
    assert line().media_ports()


def test_streams_and_what_the_far_end_says_of_them() -> None:
    net = Internet(calls_net(boxes=(Filter(at=4, match=("rtp",), after=5),)), 1)
    asked = line()
    alone = drive(asked.streams(1, SPARSE, 1.2), net)
    assert {s.loss_up for s in alone} == {None}
    streams = drive(asked.reported(alone), net)
    assert Counter((s.plan.known, s.plan.twin) for s in streams) == dict.fromkeys(
        [(True, True), (True, False), (False, True), (False, False)], 1
    )
    assert {s.loss_up for s in streams if s.plan.twin} == {0}
    assert {s.loss_up for s in streams if not s.plan.twin} == {0.75}


def test_names_over_udp_are_a_control() -> None:
    assert drive(line().name_queries(), Internet(calls_net(boxes=(Filter(at=4, but=(53,)),)), 1)) == (5, 5)
    assert drive(line().name_queries(), Internet(calls_net(boxes=(Filter(at=4),)), 1)) == (0, 5)
    assert drive(line(udp=(5060,)).name_queries(), Internet(calls_net(), 1)) == (0, 0)


def pauses(*seconds: float) -> Part[str]:
    for one in seconds:
        batch: list[Step] = [PauseStep(seconds=one), PauseStep(seconds=one / 2)]
        yield batch
    return "done"


def test_the_stopwatch_counts_the_longest_of_each_batch() -> None:
    watch = Stopwatch()
    assert drive(watch.during(pauses(10, 5)), Internet(calls_net(), 1)) == "done"
    assert watch.passed == 15
    assert watch.left == 26
    drive(watch.during(pauses(20)), Internet(calls_net(), 1))
    assert watch.left == 6
    assert Stopwatch(20).left == 41
    assert Stopwatch(30).left == 91


@pytest.mark.parametrize("boxes", [(), (Filter(at=4, match=("sip",)),), (Filter(at=4, udp=False, tcp=True),)])
def test_the_stopwatch_is_about_right(boxes: tuple[Filter, ...]) -> None:
    net, watch, asked = Internet(calls_net(boxes=boxes), 1), Stopwatch(), line()
    drive(watch.during(asked.caller.connect(asked.calls(["sip_tcp"], 3))), net)
    drive(watch.during(asked.caller.dial(asked.calls(["sip"], 3))), net)
    drive(watch.during(asked.streams(1, SPARSE, 1.2)), net)
    # The simulated network sends as fast as it is asked to; the line does not.
    assert net.now - 0.3 <= watch.passed <= net.now + 1.0
