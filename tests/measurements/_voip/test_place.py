"""Sweeps for what fails: home, line and far end told apart, whatever the routers show."""

from __future__ import annotations

from random import Random

import pytest

from probe.measurements._voip.call import Call, Caller
from probe.measurements._voip.place import Located, Suspect, locate
from probe.model.exchange import Step, UdpStep
from probe.wire import reflector
from tests.measurements.simcalls import Filter, calls_net
from tests.measurements.simfar import EPOCH, FAR, HOME, SETTINGS
from tests.measurements.simnet import Internet, Network, drive

TOKEN = reflector.mint(SETTINGS.secret, reflector.source_key(HOME[4]), EPOCH)


def suspect(protocol: str = "stun") -> Suspect:
    caller = Caller(FAR[4], TOKEN, Random(1))

    def make(twin: bool, ttl: int, number: int) -> Step:
        call = Call("stun" if protocol == "stun" else "sip", 20_001, False, twin, (ttl + number) % 5)
        payload = caller.requests(call)[0][1]
        return UdpStep(address=FAR[4], port=20_001, payload=payload, ttl=ttl, flow=call.flow, wait=0.5)

    return Suspect(protocol, lambda ttl, n: make(False, ttl, n), lambda ttl, n: make(True, ttl, n))


def find(network: Network, seed: int = 1, *suspects: Suspect) -> list[Located]:
    return drive(locate(suspects or [suspect()], FAR[4], 56), Internet(network, seed))


@pytest.mark.parametrize("hop", range(3, 8))
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_link_of_a_drop(hop: int, loss: float) -> None:
    for seed in range(10):
        (found,) = find(calls_net(loss=loss, boxes=(Filter(at=hop, match=("stun",)),)), seed)
        assert found.guilty
        assert found.place is not None
        # Loss may hide quotes: the link is then wider, never another.
        assert found.place.clean_ttl < hop <= found.place.first_ttl


def test_shots_that_get_past_make_the_link_wider_and_hardly_ever_another() -> None:
    hops = list(range(3, 8)) * 12
    nets = [calls_net(boxes=(Filter(at=hop, match=("stun",), loses=0.93),)) for hop in hops]
    found = [(hop, find(net, seed)[0]) for seed, (hop, net) in enumerate(zip(hops, nets, strict=True))]
    guilty = [(hop, one.place) for hop, one in found if one.guilty and one.place is not None]
    right = [place.clean_ttl < hop <= place.first_ttl for hop, place in guilty]
    assert len(guilty) >= 20
    assert len(right) - sum(right) <= 1  # one in four without


def test_who_refuses_by_icmp_is_on_the_line_unless_it_is_the_home() -> None:
    (found,) = find(calls_net(boxes=(Filter(at=5, match=("stun",), refuses=True),)))
    assert found.guilty
    assert found.place is not None
    assert (found.place.clean_ttl, found.place.first_ttl) == (4, 5)
    (home,) = find(calls_net(boxes=(Filter(at=1, match=("stun",), refuses=True),)))
    assert home.home


def test_a_router_s_own_word_counts_even_where_it_rations_words() -> None:
    for seed in range(10):
        network = calls_net(limited=frozenset({5}), burst=3, boxes=(Filter(at=5, match=("stun",), refuses=True),))
        (found,) = find(network, seed)
        assert found.guilty
        assert found.place is not None
        assert found.place.first_hop == "198.51.0.5"
        assert found.place.clean_ttl < 5 <= found.place.first_ttl
    (first,) = find(calls_net(boxes=(Filter(at=2, match=("stun",), refuses=True),)))
    assert first.guilty  # its address is none of the home's
    (last,) = find(calls_net(boxes=(Filter(at=8, match=("stun",), refuses=True),)))
    assert not last.guilty


@pytest.mark.parametrize("hop", [1, 2])
def test_the_home_and_the_link_behind_it_are_never_guilty(hop: int) -> None:
    for seed in range(10):
        (found,) = find(calls_net(boxes=(Filter(at=hop, match=("stun",)),)), seed)
        assert found.home
        assert not found.guilty


@pytest.mark.parametrize("hop", [8, 9])
def test_the_far_end_s_own_links_are_never_guilty(hop: int) -> None:
    for seed in range(10):
        (found,) = find(calls_net(loss=0.05, boxes=(Filter(at=hop, match=("stun",)),)), seed)
        assert not found.guilty
        assert found.shown_at >= 6


def test_ways_of_different_length_make_nobody_guilty() -> None:
    for seed in range(30):
        for box in (Filter(at=9, match=("stun",)), Filter(at=8, match=("stun",), refuses=True)):
            (found,) = find(calls_net(uneven=2, boxes=(box,)), seed)
            assert not found.guilty


def test_nothing_is_found_where_nothing_is() -> None:
    (found,) = find(calls_net())
    assert found.place is None
    assert not found.guilty


def test_routers_that_ration_errors_make_nobody_guilty() -> None:
    for seed in range(10):
        (found,) = find(calls_net(limited=frozenset(range(2, 9)), burst=2), seed)
        assert not found.guilty


def test_several_are_looked_for_at_once() -> None:
    boxes = (Filter(at=4, match=("stun",)), Filter(at=6, match=("sip",)))
    places = [one.place for one in find(calls_net(boxes=boxes), 1, suspect(), suspect("sip"))]
    assert [(p.clean_ttl, p.first_ttl) if p else None for p in places] == [(3, 4), (5, 6)]
