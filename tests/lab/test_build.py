"""Topologies made real."""

from __future__ import annotations

import socket
import subprocess

import pytest

from probe.lab import build, world
from probe.lab.build import WIRE, Fabric
from probe.lab.kinds import EqualPaths
from probe.lab.namespaces import Namespace
from probe.lab.scenario import Scenario
from probe.model.errors import CannotMeasure

pytestmark = pytest.mark.lab


def chain(*boxes: EqualPaths, hops: int = 2) -> world.World:
    return world.build(Scenario(name="x", description="X.", world="chain", hops=hops, boxes=boxes))


def show(fabric: Fabric, node: str, *command: str) -> str:
    with fabric.namespaces[node].inside():
        return subprocess.run(["ip", *command], capture_output=True, text=True, check=True).stdout


def udp(fabric: Fabric, source: str, destination: str, address: str) -> str:
    """Address from which a datagram arrives, sent from one node to another."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with fabric.namespaces[source].socket(family, socket.SOCK_DGRAM) as sender, \
            fabric.namespaces[destination].socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((address, 5000))
        receiver.settimeout(0.5)
        sender.sendto(b"hello", (address, 5000))
        return str(receiver.recvfrom(100)[1][0])


def test_packets_cross_a_chain_both_families() -> None:
    fabric = Fabric(chain().topology)
    assert udp(fabric, "chain.home", "server", "203.0.113.10") == "198.18.1.100"
    assert udp(fabric, "chain.home", "server", "2001:db8:a0::10") == "2001:db8:1:1::2"
    assert udp(fabric, "server", "chain.home", "198.18.1.100") == "203.0.113.10"
    fabric.close()


def test_addresses_can_be_used_at_once() -> None:
    fabric = Fabric(chain().topology)
    try:
        shown = "".join(show(fabric, node, "-6", "address", "show", "scope", "global") for node in fabric.namespaces)
        lines = [line for line in shown.splitlines() if "inet6" in line and " fe80:" not in line]
        assert len(lines) >= 4
        assert [line for line in lines if "nodad" not in line] == []
    finally:
        fabric.close()


def test_a_cut_link_ends_in_a_namespace_without_addresses() -> None:
    topology = chain().topology
    key = ("chain.r1", "chain.r2")
    fabric = Fabric(topology, [key, key])
    assert list(fabric.cut) == [key]
    assert fabric.cut_ends(topology.links[key]) == ("c1", "p1")
    addresses = show(fabric, WIRE, "-o", "address")
    assert addresses == ""
    assert {"c1", "p1"} <= {line.split()[1].partition("@")[0] for line in show(fabric, WIRE, "-o", "link").splitlines()}
    with pytest.raises(TimeoutError):
        udp(fabric, "chain.home", "server", "203.0.113.10")
    fabric.close()


def test_nothing_is_left_in_the_namespace_of_the_builder() -> None:
    before = subprocess.run(["ip", "-o", "link"], capture_output=True, check=True).stdout
    Fabric(chain().topology).close()
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, check=True).stdout == before


def test_equal_paths_are_one_route_with_two_hops() -> None:
    internet = world.build(Scenario(name="x", description="X.", boxes=(EqualPaths(at="sale.core"),)))
    fabric = Fabric(internet.topology)
    assert show(fabric, "sale.agg", "route", "show", "default").count("nexthop") == 2
    assert show(fabric, "sale.agg", "-6", "route", "show", "default").count("nexthop") == 2
    assert show(fabric, "sale.border", "route", "show", "198.18.30.100").count("nexthop") == 2
    fabric.close()


def test_a_home_hides_behind_one_address_but_not_over_ipv6() -> None:
    fabric = Fabric(world.build(Scenario(name="x", description="X.")).topology)
    assert udp(fabric, "oran.home", "press", "203.0.113.10") == "198.18.20.100"
    assert udp(fabric, "oran.home", "press", "2001:db8:a0::10") == "2001:db8:20:1::2"
    fabric.close()


def test_interfaces_of_a_node_have_names_of_their_own() -> None:
    fabric = Fabric(chain().topology)
    assert fabric.interface("chain.home", "chain.r1") == "eth0"
    assert fabric.interface("chain.r1", "chain.r2") == "up"
    assert fabric.interface("chain.r1", "chain.home") == "home"
    assert fabric.mac("chain.r1", "chain.home") == fabric.topology.links["chain.home", "chain.r1"].mac("parent")
    fabric.close()


def test_checksums_are_complete_on_every_wire() -> None:
    fabric = Fabric(chain().topology)
    for line in show(fabric, "chain.r1", "-o", "link").splitlines():
        name = line.split()[1].partition("@")[0].rstrip(":")
        if name != "lo":
            with fabric.namespaces["chain.r1"].inside(), socket.socket() as control:
                assert offload(control, name) == 0
    fabric.close()


def offload(control: socket.socket, name: str) -> int:
    """ETHTOOL_GTXCSUM of an interface."""
    import ctypes
    import fcntl
    import struct

    value = ctypes.create_string_buffer(struct.pack("II", 0x16, 1))
    fcntl.ioctl(control, 0x8946, struct.pack("16sP16x", name.encode(), ctypes.addressof(value)))
    return int(struct.unpack("II", value.raw[:8])[1])


@pytest.mark.parametrize("action", ["blackhole", "unreachable", "prohibit"])
def test_routes_can_lead_nowhere(action: str) -> None:
    fabric = Fabric(chain().topology)
    fabric.route_away("chain.r2", ["203.0.113.8/29", "2001:db8:a0::/48"], action)
    assert f"{action} 203.0.113.8/29" in show(fabric, "chain.r2", "route")
    assert f"{action} 2001:db8:a0::/48" in show(fabric, "chain.r2", "-6", "route")
    fabric.close()


def test_rules_that_nft_refuses_are_named() -> None:
    namespace = Namespace.create("x")
    with namespace.inside(), pytest.raises(CannotMeasure, match="syntax error"):
        build.nft("table inet x { chain nonsense")
    namespace.close()
