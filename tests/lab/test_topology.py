"""Routing tables and distances worked out from who is whose next hop."""

from __future__ import annotations

from probe.lab.topology import Node, Topology


def diamond() -> Topology:
    topology = Topology()
    topology.add(Node("root", addresses=("198.18.0.1",)))
    topology.add(Node("left", ("root",), addresses=("198.18.0.2",)))
    topology.add(Node("right", ("root",), addresses=("198.18.0.3",)))
    topology.add(Node("low", ("left", "right"), addresses=("198.18.0.4",)))
    topology.add(Node("leaf", ("low",), "host", ("198.18.0.5",)))
    topology.add(Node("server", ("root",), "host", ("203.0.113.1",), ("203.0.113.0/24",)))
    return topology


def table(topology: Topology, name: str) -> dict[str, set[tuple[str, str]]]:
    return {route.prefix: {link.key for link in route.via} for route in topology.routes(name)}


def test_two_parents_are_two_equal_next_hops_both_ways() -> None:
    topology = diamond()
    assert table(topology, "low")["0.0.0.0/0"] == {("low", "left"), ("low", "right")}
    assert table(topology, "root")["198.18.0.5/32"] == {("left", "root"), ("right", "root")}
    assert table(topology, "root")["198.18.0.2/32"] == {("left", "root")}


def test_what_a_node_announces_stands_for_all_below_it() -> None:
    routes = table(diamond(), "root")
    assert "203.0.113.0/24" in routes
    assert "203.0.113.1/32" not in routes


def test_paths_and_distances_go_over_the_nearest_common_router() -> None:
    topology = diamond()
    assert topology.path("leaf", "server") == ["leaf", "low", "left", "root", "server"]
    assert topology.path("server", "leaf") == ["server", "root", "left", "low", "leaf"]
    assert topology.distance("leaf", "low") == 1
    assert topology.distance("leaf", "server") == 4
    assert topology.path("leaf", "leaf") == ["leaf"]


def test_a_node_added_again_keeps_its_links() -> None:
    topology = diamond()
    before = topology.links["low", "left"]
    topology.add(Node("low", ("left", "right", "root"), addresses=("198.18.0.4",)))
    assert topology.links["low", "left"] == before
    assert len({link.index for link in topology.links.values()}) == len(topology.links) == 7


def test_the_ends_of_a_link_have_addresses_of_their_own() -> None:
    links = diamond().links.values()
    macs = [link.mac(end) for link in links for end in ("child", "parent")]
    locals_ = [link.link_local(end) for link in links for end in ("child", "parent")]
    assert len(set(macs)) == len(set(locals_)) == 2 * len(links)
    assert next(iter(links)).mac("child") == "02:00:00:00:01:01"
    assert next(iter(links)).link_local("child") == "fe80::ff:fe00:101"  # RFC 4291, appendix A
