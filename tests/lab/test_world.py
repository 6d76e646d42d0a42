"""Who exists, behind which routers."""

from __future__ import annotations

import ipaddress

import pytest

from probe.lab import world
from probe.lab.kinds import EqualPaths, Web
from probe.lab.scenario import Scenario
from probe.model.errors import ConfigError


def made(*boxes: object, **options: object) -> world.World:
    return world.build(Scenario(name="x", description="X.", boxes=boxes, **options))  # type: ignore[arg-type]


def test_every_server_is_at_least_eight_routers_away_from_every_home() -> None:
    internet = made()
    for home in internet.homes.values():
        for server in (*internet.webs, "resolver", "silent"):
            assert internet.topology.distance(home, server) == 9


def test_all_addresses_lie_in_ranges_that_nobody_routes() -> None:
    internet = made()
    allowed = [ipaddress.ip_network(text) for text in world.NETWORKS]
    addresses = [ipaddress.ip_address(a) for node in internet.topology.nodes.values() for a in node.addresses]
    assert len(addresses) == len(set(addresses)) == 64
    assert [a for a in addresses if not any(a.version == n.version and a in n for n in allowed)] == []


def test_every_router_and_server_can_be_attributed() -> None:
    internet = made()
    for node in internet.topology.nodes.values():
        for address in node.addresses:
            assert internet.asn_of(address) == node.asn != 0
    assert internet.asn_of("192.168.1.1") == 0
    assert internet.asn_of("198.18.10.99") == 64501


def test_packets_of_homes_enter_a_node_from_their_side() -> None:
    internet = made()
    assert internet.entries("sale.agg") == [("sale.bng", "sale.agg")]
    assert internet.entries("sale.router") == [("sale.home", "sale.router")]
    assert internet.entries("transit.a") == [(f"{name}.border", "transit.a") for name in internet.homes]
    assert internet.entries("press.edge") == [("press.edge", "transit.b")]
    assert internet.entries("press") == [("press", "press.edge")]
    assert internet.entries("sale.resolver") == [("sale.resolver", "sale.core")]


def test_equal_paths_stand_beside_a_router() -> None:
    internet = made(EqualPaths(at="atlas.core"))
    assert internet.topology.nodes["atlas.agg"].parents == ("atlas.core", "atlas.core2")
    assert internet.topology.nodes["atlas.core2"].parents == ("atlas.border",)
    assert internet.entries("atlas.border") == [("atlas.core", "atlas.border"), ("atlas.core2", "atlas.border")]
    assert internet.topology.distance("atlas.home", "press") == 9


def test_a_longer_path_has_one_router_more() -> None:
    internet = made(EqualPaths(at="atlas.core", longer=True))
    assert internet.topology.nodes["atlas.core2"].parents == ("atlas.core3",)
    assert internet.topology.nodes["atlas.core3"].parents == ("atlas.border",)


@pytest.mark.parametrize("box", [Web(at="moon"), EqualPaths(at="press"), EqualPaths(at="transit.b")])
def test_a_box_that_can_stand_nowhere_is_an_error(box: object) -> None:
    with pytest.raises(ConfigError):
        made(box)


@pytest.mark.parametrize("hops", [1, 7])
def test_a_chain_has_as_many_routers_as_asked(hops: int) -> None:
    chain = made(world="chain", hops=hops)
    assert chain.topology.distance("chain.home", "server") == hops + 1
    assert chain.entries("server") == [("server", f"chain.r{hops}")]


def test_every_home_has_its_access_link() -> None:
    assert made().access == [(f"{name}.router", f"{name}.bng") for name in made().homes]
    assert made(world="chain").access == [("chain.home", "chain.r1")]
    double = made(EqualPaths(at="atlas.bng"))
    assert set(double.access) >= {("atlas.router", "atlas.bng"), ("atlas.router", "atlas.bng2")}
