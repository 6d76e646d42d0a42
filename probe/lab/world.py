"""The two worlds that scenarios play in, as data: who exists, with which addresses, behind which routers.

internet: home ─ home router (1) ─ bng (2) ─ agg (3) ─ core (4) ─ border (5) ─ transit.a (6) ─ transit.b (7)
          ─ an edge router (8) ─ server (9), with the operator's own resolver behind its core router.
chain:    client ─ r1 … rN ─ server, no NAT.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from probe.lab.kinds import EqualPaths, Nat
from probe.lab.scenario import Scenario
from probe.lab.topology import Node, Topology
from probe.model.errors import ConfigError
from probe.model.finding import Access

NETWORKS = ("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "2001:db8::/32")
"""Everything the lab numbers, except the homes' 192.168.1.0/24: documentation and benchmark ranges only."""


@dataclass(frozen=True)
class Operator:
    """An access operator; ``number`` makes its addresses."""

    name: str
    number: int
    asn: int
    country: str
    access: Access = "fixed"
    routers: tuple[str, ...] = ("bng", "agg", "core", "border")


OPERATORS = (
    Operator("atlas", 10, 64501, "MA"),
    Operator("oran", 20, 64502, "DZ"),
    Operator("sale", 30, 64503, "MA", "mobile"),
)

CONTROL_NAME = "control.example"
REFLECTOR = "reflector"
REFLECTOR_ADDRESSES = ("203.0.113.190", "2001:db8:c0::90", "203.0.113.191", "2001:db8:c0::91")
"""The last two are silent."""
REFLECTOR_NAME = "reflector.example"
REFLECTOR_ZONE = "r.example"


@dataclass(frozen=True)
class Site:
    """A server network: an edge router and the hosts behind it, each with all its addresses.

    ``whole``: prefixes that belong to a host to their last address, so that a whole company can be measured.
    """

    name: str
    asn: int
    prefixes: tuple[str, ...]
    edge: tuple[str, str]
    hosts: dict[str, tuple[str, ...]]
    whole: dict[str, tuple[str, ...]] = field(default_factory=dict)



def _but_one(prefix: str, address: str) -> tuple[str, ...]:
    """A prefix without one of its addresses, as the fewest prefixes."""
    return tuple(map(str, ipaddress.IPv4Network(prefix).address_exclude(ipaddress.IPv4Network(address))))


SITES = (
    Site("press", 64530, ("203.0.113.0/26", "2001:db8:a0::/48"), ("203.0.113.1", "2001:db8:a0::1"),
         {"press": ("203.0.113.10", "2001:db8:a0::10")}),
    Site("octenium", 64520, ("198.51.100.0/25", "192.0.2.0/25", "2001:db8:b0::/47"), ("198.51.100.1", "2001:db8:b0::1"),
         {"octenium": ("198.51.100.10", "198.51.100.11", "2001:db8:b0::10"),
          "octenium2": ("192.0.2.10", "192.0.2.11", "2001:db8:b1::10")},
         {"octenium": (*_but_one("198.51.100.0/25", "198.51.100.1"), "2001:db8:b0::100/120"),
          "octenium2": ("192.0.2.0/25", "2001:db8:b1::100/120")}),
    Site("far", 64540, ("203.0.113.128/25", "2001:db8:c0::/48"), ("203.0.113.129", "2001:db8:c0::1"),
         {"resolver": ("203.0.113.153", "2001:db8:c0::53"), "silent": ("203.0.113.199", "2001:db8:c0::199"),
          "control": ("203.0.113.180", "2001:db8:c0::80"), "reflector": REFLECTOR_ADDRESSES}),
)
TRANSIT = ("transit", 64510, ("198.19.0.0/24", "2001:db8:f0::/48"))

SILENT = ("203.0.113.200", "2001:db8:c0::200")
"""Addresses that are routed to the host ``silent``, which drops all that comes for them."""

NAMES: dict[str, tuple[str, ...]] = {
    "press.example": ("203.0.113.10", "2001:db8:a0::10"),
    "octenium.example": ("198.51.100.10", "2001:db8:b0::10"),
    "shop.octenium.example": ("192.0.2.10", "2001:db8:b1::10"),
    CONTROL_NAME: ("203.0.113.180", "2001:db8:c0::80"),
    REFLECTOR_NAME: REFLECTOR_ADDRESSES[:2],
    "resolver.example": ("203.0.113.153", "2001:db8:c0::53"),
    **{f"resolver.{o.name}.example": (f"198.18.{o.number}.53", f"2001:db8:{o.number}::53") for o in OPERATORS},
}
"""What the honest resolvers know; a ``www.`` in front changes nothing."""


class Prefix(msgspec.Struct, frozen=True):
    """A row of the table by which addresses are attributed."""

    prefix: str
    asn: int
    name: str


def asn_of(rows: Iterable[Prefix], address: str) -> int:
    """AS number of an address by the longest prefix, 0 if unknown."""
    ip = ipaddress.ip_address(address)
    networks = ((ipaddress.ip_network(row.prefix), row.asn) for row in rows)
    fitting = [(network.prefixlen, asn) for network, asn in networks if ip.version == network.version and ip in network]
    return max(fitting, default=(0, 0))[1]


@dataclass
class World:
    """A topology and who plays which part in it. ``homes``: operator → node where a probe lives."""

    topology: Topology = field(default_factory=Topology)
    homes: dict[str, str] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)
    resolvers: tuple[str, ...] = ()
    webs: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prefixes: tuple[Prefix, ...] = ()
    measure: dict[str, dict[str, str]] = field(default_factory=dict)
    discards: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Node → addresses whose packets it drops without a word."""

    def node(self, name: str) -> Node:
        """A node by name. Raises ConfigError."""
        try:
            return self.topology.nodes[name]
        except KeyError:
            raise ConfigError("scenario", f"there is no node {name!r}") from None

    def _home_nodes(self) -> set[str]:
        """Nodes that have a home below them over any path."""
        found = set(self.homes.values())
        while more := {p for n in found for p in self.topology.nodes[n].parents} - found:
            found |= more
        return found

    def entries(self, name: str) -> list[tuple[str, str]]:
        """Links (child, parent) over which the homes' packets enter a node."""
        node = self.node(name)
        homes = self._home_nodes()
        if name in homes:
            return [(child, name) for child in self.topology.children(name) if child in homes]
        return [(name, parent) for parent in node.parents]

    @property
    def access(self) -> list[tuple[str, str]]:
        """Every home's access line: the link (child, parent) behind its router, or behind it where it has none."""
        found = []
        for home in self.homes.values():
            (above, *_) = self.node(home).parents
            found += self.exits(above) if self.node(above).kind == "home_router" else [(home, above)]
        return found

    def exits(self, name: str) -> list[tuple[str, str]]:
        """Links (child, parent) over which the homes' packets leave a router towards the servers."""
        return [(name, parent) for parent in self.node(name).parents]

    def outside(self, name: str) -> str:
        """The IPv4 address that a router's NAT gives to what leaves it: the home's one, or the last it has (CGNAT)."""
        node = self.node(name)
        return node.address(4) if node.kind == "home_router" else [a for a in node.addresses if ":" not in a][-1]

    def asn_of(self, address: str) -> int:
        """AS number of an address by the longest prefix, 0 if unknown."""
        return asn_of(self.prefixes, address)


def build(scenario: Scenario) -> World:
    """The world that a scenario plays in. Raises ConfigError where a box stands at no node."""
    world = _chain(scenario.hops) if scenario.world == "chain" else _internet()
    for box in scenario.boxes:
        if isinstance(box, EqualPaths):
            _twin(world, box)
        elif isinstance(box, Nat) and world.node(box.at).kind == "router":
            node = world.node(box.at)
            shared = str(ipaddress.ip_address(node.address(4)) + 200)
            world.topology.add(replace(node, addresses=(*node.addresses, shared)))
    for box in scenario.boxes:
        world.node(box.at)
    return world


def _internet() -> World:
    world = World(
        homes={operator.name: f"{operator.name}.home" for operator in OPERATORS},
        operators={operator.name: operator for operator in OPERATORS},
        resolvers=("resolver", *(f"{operator.name}.resolver" for operator in OPERATORS)),
        webs=("press", "octenium", "octenium2", "control"),
        names=NAMES,
        discards={"silent": SILENT},
    )
    add = world.topology.add
    add(Node("transit.b", asn=TRANSIT[1], addresses=("198.19.0.2", "2001:db8:f0::2")))
    add(Node("transit.a", ("transit.b",), asn=TRANSIT[1], addresses=("198.19.0.1", "2001:db8:f0::1")))
    rows = [Prefix(prefix, TRANSIT[1], TRANSIT[0]) for prefix in TRANSIT[2]]
    for site in SITES:
        edge = f"{site.name}.edge"
        add(Node(edge, ("transit.b",), asn=site.asn, addresses=site.edge, announce=site.prefixes))
        for host, addresses in site.hosts.items():
            single = tuple(f"{a}/{ipaddress.ip_address(a).max_prefixlen}"
                           for a in (*addresses, *world.discards.get(host, ())))
            whole = site.whole.get(host, ())
            add(Node(host, (edge,), "host", addresses, (*single, *whole), asn=site.asn, local=whole))
        rows += [Prefix(prefix, site.asn, site.name) for prefix in site.prefixes]
    for operator in OPERATORS:
        rows += _add_operator(world, operator)
        world.measure[operator.name] = {
            "resolver": "203.0.113.153", "silent": SILENT[0], "control_name": CONTROL_NAME,
            "control_address": "203.0.113.180", "control_resolver": "203.0.113.153",
            "reflector": REFLECTOR_ADDRESSES[0], "reflector_name": REFLECTOR_NAME,
        }
    world.prefixes = tuple(rows)
    return world


def _add_operator(world: World, operator: Operator) -> list[Prefix]:
    v4, v6 = f"198.18.{operator.number}", f"2001:db8:{operator.number}"
    own = (f"{v4}.0/24", f"{v6}::/48")
    above = "transit.a"
    for number, short in reversed(list(enumerate(operator.routers, 2))):
        announce = own if above == "transit.a" else ()
        node = f"{operator.name}.{short}"
        addresses = (f"{v4}.{number}", f"{v6}::{number}")
        world.topology.add(Node(node, (above,), "router", addresses, announce, asn=operator.asn))
        above = node
    name = operator.name
    world.topology.add(Node(f"{name}.resolver", (f"{name}.core",), "host", (f"{v4}.53", f"{v6}::53"), asn=operator.asn))
    world.topology.add(Node(f"{name}.router", (above,), "home_router", (f"{v4}.100", f"{v6}::100"), asn=operator.asn))
    lan = ("192.168.1.2/24", "192.168.1.1/24", f"{v6}:1::2/64", f"{v6}:1::1/64")
    world.topology.add(Node(f"{name}.home", (f"{name}.router",), "host", (), (f"{v6}:1::/64",), lan))
    return [Prefix(prefix, operator.asn, name) for prefix in own]


def _twin(world: World, box: EqualPaths) -> None:
    """Put a second router (or two in a row) beside a router with the same neighbours."""
    nodes = world.topology.nodes
    node = world.node(box.at)
    below = [nodes[child] for child in world.topology.children(box.at) if nodes[child].kind != "host"]
    if node.kind != "router" or len(node.parents) != 1 or not below:
        raise ConfigError("scenario", f"equal paths need a router between two others, not {box.at!r}")
    parent = node.parents[0]
    if box.longer:
        world.topology.add(replace(node, name=f"{box.at}3", parents=(parent,), addresses=_shifted(node, 140)))
        parent = f"{box.at}3"
    world.topology.add(replace(node, name=f"{box.at}2", parents=(parent,), addresses=_shifted(node, 120)))
    for child in below:
        world.topology.add(replace(child, parents=(*child.parents, f"{box.at}2")))


def _shifted(node: Node, by: int) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_address(address) + by) for address in node.addresses)


def _chain(hops: int) -> World:
    asn = 64501
    world = World(
        homes={"chain": "chain.home"}, operators={"chain": Operator("chain", 1, asn, "ZZ")}, resolvers=("server",),
        webs=("server",), names={"press.example": ("203.0.113.10", "2001:db8:a0::10"),
                                 CONTROL_NAME: ("203.0.113.11", "2001:db8:a0::11")},
        prefixes=(Prefix("198.18.1.0/24", asn, "chain"), Prefix("2001:db8:1::/48", asn, "chain"),
                  Prefix("203.0.113.0/24", 64530, "press"), Prefix("2001:db8:a0::/48", 64530, "press")),
        measure={"chain": {"resolver": "203.0.113.10", "silent": "203.0.113.12", "control_name": CONTROL_NAME,
                           "control_address": "203.0.113.11", "control_resolver": "203.0.113.10"}},
        discards={"server": ("203.0.113.12", "2001:db8:a0::12")},
    )
    for number in range(hops, 0, -1):
        above = (f"chain.r{number + 1}",) if number < hops else ()
        addresses = (f"198.18.1.{number}", f"2001:db8:1::{number:x}")
        world.topology.add(Node(f"chain.r{number}", above, "router", addresses, asn=asn))
    lan = ("198.18.1.100/31", "198.18.1.101/31", "2001:db8:1:1::2/64", "2001:db8:1:1::1/64")
    world.topology.add(Node("chain.home", ("chain.r1",), "host", (), ("198.18.1.100/31", "2001:db8:1:1::/64"), lan))
    world.topology.add(Node("server", (f"chain.r{hops}",), "host",
                            ("203.0.113.10", "203.0.113.11", "2001:db8:a0::10", "2001:db8:a0::11"),
                            ("203.0.113.8/29", "2001:db8:a0::/48"), asn=64530))
    return world
