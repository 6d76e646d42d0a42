"""Sweeps with the very flows that were blocked."""

from __future__ import annotations

from probe.measurements._voip.grid import Why
from probe.measurements._voip.seen import QUESTIONS, Finding, Seen
from probe.measurements._voip.suspects import locate_all, locate_udp
from tests.measurements._voip.test_ask import line
from tests.measurements.simcalls import Filter, calls_net
from tests.measurements.simfar import FAR
from tests.measurements.simnet import Internet, drive


def test_calls_that_a_filter_picks_are_looked_for_on_their_own_flows() -> None:
    """A filter that picks seven of ten flows would let fresh ones pass now and then."""
    for seed in range(5):
        net = Internet(calls_net(boxes=(Filter(at=5, match=("stun",), share=0.7),)), seed)
        asked, seen = line(), Seen(FAR[4], FAR[4], "")
        seen.take(drive(asked.caller.dial(asked.calls(["stun"], 10)), net))
        why = seen.grids["stun"].explain(QUESTIONS)[0]
        (found,) = drive(locate_all(asked, seen, [Finding(grid="stun", why=why)]), net)
        assert found.located is not None
        assert found.located.guilty
        assert found.located.place is not None
        assert (found.located.place.clean_ttl, found.located.place.first_ttl) == (4, 5)


def test_no_more_are_looked_for_than_a_run_has_time_for() -> None:
    net = Internet(calls_net(boxes=(Filter(at=5, match=("sip", "stun")),)), 1)
    asked, seen = line(), Seen("t", FAR[4], "")
    seen.take(drive(asked.caller.dial(asked.calls(["sip", "stun", "turn"], 5)), net))
    why = Why("payload", 1e-6, (10, 10), (0, 10), 1.0)
    found = [Finding(grid=grid, why=why) for grid in ("sip", "stun", "turn", "sip")]
    located = drive(locate_all(asked, seen, found), net)
    assert [one.located is not None for one in located] == [True, True, True, False]


def test_all_udp_beside_syns() -> None:
    found = drive(locate_udp(line(), Seen("t", FAR[4], "")), Internet(calls_net(boxes=(Filter(at=4),)), 1))
    assert found.guilty
    honest = drive(locate_udp(line(), Seen("t", FAR[4], "")), Internet(calls_net(), 1))
    assert not honest.guilty
