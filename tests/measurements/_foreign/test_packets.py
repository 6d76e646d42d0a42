"""What captures of others have in common."""

from __future__ import annotations

import pytest

from probe.measurements._foreign.packets import Taken, around, from_home, home_end, nearer, quotes
from probe.model.packet import Icmp, Packet, Udp


@pytest.mark.parametrize(
    ("forged", "genuine", "so"),
    [
        ([62], [56], True), ([61], [58], True), ([60], [58], False), ([62, 57], [56], False), ([56], [62], False),
        ([250], [56], True), ([253], [250], True), ([250], [250], False), ([], [56], False), ([62], [], False),
    ],
)  # fmt: skip
def test_nearer_is_nearer_for_all_and_by_enough(forged: list[int], genuine: list[int], so: bool) -> None:
    assert nearer(forged, genuine) == so


@pytest.mark.parametrize(("ttls", "so"), [([64], True), ([63, 60], True), ([62], False), ([], False), ([254], True)])
def test_what_crossed_a_router_at_most_may_be_the_home_s(ttls: list[int], so: bool) -> None:
    assert from_home(ttls) == so


@pytest.mark.parametrize(
    ("routers", "end"),
    [
        ({}, 1), ({1: "192.168.1.1"}, 1), ({1: "192.168.1.1", 2: "10.0.0.1", 3: "198.18.0.1"}, 2),
        ({2: "198.18.0.1", 3: "10.0.0.1"}, 1), ({1: "fe80::1", 2: "fd00::1"}, 2), ({2: "2001:db8::1"}, 1),
    ],
)  # fmt: skip
def test_private_routers_are_taken_for_the_home_s(routers: dict[int, str], end: int) -> None:
    assert home_end(routers) == end


def test_something_must_fare_well_before_and_after() -> None:
    assert around([1.0, 9.0], [2.0, 3.0])
    assert not around([1.0], [2.0])
    assert not around([3.0], [2.0])
    assert not around([], [2.0])
    assert not around([1.0], [])


def test_quotes_are_those_of_packets_that_died() -> None:
    mine = Packet(4, "192.0.2.1", "192.0.2.9", 1, 17, 30, header=Udp(40000, 53, 10))
    died = Packet(4, "192.0.2.5", "192.0.2.1", 60, 1, 56, header=Icmp(11, 0, quoted=mine))
    refused = Packet(4, "192.0.2.5", "192.0.2.1", 60, 1, 56, header=Icmp(3, 13, quoted=mine))
    assert quotes([Taken(0.0, mine), Taken(0.1, refused), Taken(0.2, died)]) == [(Taken(0.2, died), mine)]
