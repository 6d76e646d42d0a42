"""Makes a topology real: namespaces, veth pairs, addresses, routes, settings, by pyroute2."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import subprocess
from collections.abc import Iterable

from pyroute2 import IPRoute

from probe.lab.namespaces import Namespace, prepare
from probe.lab.rules import masquerade
from probe.lab.topology import Link, Node, Route, Topology
from probe.model.errors import CannotMeasure

WIRE = "wire"
"""Name of the namespace that holds the ends of every cut link; it has no address, so its kernel stays silent."""

_LOCAL_TABLE, _HOST_SCOPE = 255, 254  # linux/rtnetlink.h
_MULTIPATH_ONLINK = 4  # RTNH_F_ONLINK
_NODAD = 2  # IFA_F_NODAD, linux/if_addr.h

SETTINGS: dict[str, int | str] = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv6/conf/all/accept_dad": 0,
    "ipv6/conf/default/accept_dad": 0,
    "ipv4/icmp_ratelimit": 0,
    "ipv4/icmp_ratemask": 0,
    "ipv6/icmp/ratelimit": 0,
    "ipv4/fib_multipath_hash_policy": 1,
    "ipv6/fib_multipath_hash_policy": 1,
    "ipv4/ping_group_range": "0 0",
}


class Fabric:
    """The namespaces of one topology and the interfaces in them.

    ``interface(node, neighbour)`` names the interface of a node towards a neighbour. A link in ``cut`` is not joined:
    its ends come out in the namespace ``WIRE`` as ``cut_ends(link)``, for a relay to join them.
    """

    def __init__(self, topology: Topology, cut: Iterable[tuple[str, str]] = ()) -> None:
        self.topology = topology
        self.cut = {key: topology.links[key] for key in dict.fromkeys(cut)}
        self.namespaces = {name: Namespace.create(name) for name in topology.nodes}
        if self.cut:
            self.namespaces[WIRE] = Namespace.create(WIRE)
        self._interfaces: dict[tuple[str, str], str] = {}
        self._netlink: dict[str, IPRoute] = {}
        self._index: dict[tuple[str, str], int] = {}
        with contextlib.ExitStack() as stack:
            for name, namespace in self.namespaces.items():
                with namespace.inside():
                    namespace.sysctl(SETTINGS if name != WIRE else {"ipv6/conf/default/disable_ipv6": 1})
                    self._netlink[name] = stack.enter_context(IPRoute())
            for link in topology.links.values():
                self._join(link)
            for node in topology.nodes.values():
                self._configure(node)
        for name, namespace in self.namespaces.items():
            with namespace.inside():
                prepare(self._names(name))
                if topology.nodes.get(name, Node("")).kind == "home_router":
                    nft(masquerade(topology.nodes[name].address(4)))

    def interface(self, node: str, neighbour: str) -> str:
        return self._interfaces[node, neighbour]

    def mac(self, node: str, neighbour: str) -> str:
        """MAC address of a node's interface towards a neighbour."""
        if (link := self.topology.links.get((node, neighbour))) is not None:
            return link.mac("child")
        return self.topology.links[neighbour, node].mac("parent")

    @staticmethod
    def cut_ends(link: Link) -> tuple[str, str]:
        """Interfaces in ``WIRE``: the one towards the child, the one towards the parent."""
        return f"c{link.index}", f"p{link.index}"

    def route_away(self, node: str, prefixes: Iterable[str], action: str) -> None:
        """Give prefixes a route of type blackhole, unreachable or prohibit at a node."""
        with self.namespaces[node].inside(), IPRoute() as netlink:
            for prefix in prefixes:
                family = {4: 2, 6: 10}[ipaddress.ip_network(prefix).version]
                netlink.route("replace", family=family, dst=prefix, type=action)

    def close(self) -> None:
        for namespace in self.namespaces.values():
            namespace.close()

    def _names(self, name: str) -> list[str]:
        if name == WIRE:
            return [end for link in self.cut.values() for end in self.cut_ends(link)]
        return [interface for (node, _), interface in self._interfaces.items() if node == name]

    def _join(self, link: Link) -> None:
        child, parent = self.topology.nodes[link.child], self.topology.nodes[link.parent]
        below = "eth0" if child.kind == "host" else "up" + str(child.parents.index(parent.name) or "")
        above = child.name.rpartition(".")[2][:15]
        while (parent.name, above) in {(node, name) for (node, _), name in self._interfaces.items()}:
            above = above[:13] + f"{link.index:02x}"
        ends = ((link.child, below, link.mac("child")), (link.parent, above, link.mac("parent")))
        if link.key in self.cut:
            for (node, name, mac), far in zip(ends, self.cut_ends(link), strict=True):
                self._veth(node, name, mac, WIRE, far, None)
        else:
            (node, name, mac), (other, far, far_mac) = ends
            self._veth(node, name, mac, other, far, far_mac)
        self._interfaces[link.child, link.parent] = below
        self._interfaces[link.parent, link.child] = above
        for node, neighbour, name in ((link.child, link.parent, below), (link.parent, link.child, above)):
            self._index[node, neighbour] = self._number(node, name)

    def _veth(self, node: str, name: str, mac: str, other: str, far: str, far_mac: str | None) -> None:
        peer = {"ifname": far, "net_ns_fd": self.namespaces[other].fd}
        if far_mac is not None:
            peer["address"] = far_mac
        self._netlink[node].link("add", ifname=name, kind="veth", address=mac, state="up", peer=peer)
        self._netlink[other].link("set", index=self._number(other, far), state="up")

    def _number(self, node: str, interface: str) -> int:
        with self.namespaces[node].inside():
            return socket.if_nametoindex(interface)

    def _configure(self, node: Node) -> None:
        netlink = self._netlink[node.name]
        netlink.link("set", index=1, state="up")
        for address in node.addresses:
            self._address(netlink, 1, ipaddress.ip_interface(address))
        for prefix in node.local:  # one route gives the node every address of it (AnyIP)
            family = {4: 2, 6: 10}[ipaddress.ip_network(prefix).version]
            scope = {"scope": _HOST_SCOPE} if family == 2 else {}
            netlink.route("add", family=family, dst=prefix, oif=1, table=_LOCAL_TABLE, type="local", **scope)
        for (name, neighbour), index in self._index.items():
            if name == node.name:
                for text in self._lan_addresses(name, neighbour):
                    self._address(netlink, index, ipaddress.ip_interface(text))
        self._fix_neighbours(netlink, node.name)
        for route in self.topology.routes(node.name):
            self._route(netlink, node.name, route)

    @staticmethod
    def _address(netlink: IPRoute, index: int, address: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> None:
        # Where the kernel may look for others of the same, nobody can bind to the address before it has decided not to,
        # by and by (addrconf_dad_start): on a busy machine, too late for our servers.
        at_once = {"flags": _NODAD} if address.version == 6 else {}
        length = address.network.prefixlen
        netlink.addr("add", index=index, address=str(address.ip), prefixlen=length, **at_once)

    def _fix_neighbours(self, netlink: IPRoute, name: str) -> None:
        """No first packet shall wait for, or be lost to, the asking for a MAC address."""
        for link in self.topology.links.values():
            if name in link.key:
                neighbour = link.parent if name == link.child else link.child
                for gateway in (self._gateway(name, link, 4), self._gateway(name, link, 6)):
                    netlink.neigh("replace", dst=gateway, lladdr=self.mac(neighbour, name),
                                  ifindex=self._index[name, neighbour], state="permanent")

    def _gateway(self, name: str, link: Link, version: int) -> str:
        """Address of the node at the other end of a link, as a next hop."""
        up = link.child == name
        lan = self.topology.nodes[link.child].lan
        if version == 6:
            return link.link_local("parent" if up else "child")
        if lan is not None:
            return lan[1 if up else 0].partition("/")[0]
        return self.topology.nodes[link.parent if up else link.child].address(4)

    def _lan_addresses(self, name: str, neighbour: str) -> tuple[str, ...]:
        nodes = self.topology.nodes
        if (own := nodes[name].lan) is not None and neighbour == nodes[name].parents[0]:
            return own[0], own[2]
        if (theirs := nodes[neighbour].lan) is not None and name == nodes[neighbour].parents[0]:
            return theirs[1], theirs[3]
        return ()

    def _route(self, netlink: IPRoute, name: str, route: Route) -> None:
        version = ipaddress.ip_network(route.prefix).version
        hops = []
        for link in route.via:
            neighbour = link.parent if link.child == name else link.child
            gateway = self._gateway(name, link, version)
            hops.append({"gateway": gateway, "oif": self._index[name, neighbour], "flags": _MULTIPATH_ONLINK})
        family = {4: 2, 6: 10}[version]
        if len(hops) == 1:
            netlink.route("add", family=family, dst=route.prefix, **hops[0])
        else:
            netlink.route("add", family=family, dst=route.prefix, multipath=hops)


def nft(rules: str) -> None:
    """Load nftables rules into the namespace that the calling thread is in. Raises CannotMeasure."""
    done = subprocess.run(["nft", "-f", "-"], input=rules, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMeasure(f"nft: {done.stderr.strip()}", "install nftables")
