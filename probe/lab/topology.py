"""Topologies as data: nodes, who is whose next hop, and what each announces. Nothing here touches the network.

A node's addresses sit on its loopback; links are unnumbered (RFC 5309 style), so a router answers traceroute from one
predictable address per family. Only the home's own network is numbered, as a real one is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["host", "router", "home_router"]


@dataclass(frozen=True)
class Node:
    """A host or router. ``announce``: the prefixes that stand for its whole subtree upwards; empty: every address.

    ``local``: whole prefixes whose every address is the node's own, beside ``addresses``.
    ``lan`` numbers the link to the node's first parent: (own IPv4, parent's IPv4, own IPv6, parent's IPv6), with
    prefix lengths.
    """

    name: str
    parents: tuple[str, ...] = ()
    kind: Kind = "router"
    addresses: tuple[str, ...] = ()
    announce: tuple[str, ...] = ()
    lan: tuple[str, str, str, str] | None = None
    local: tuple[str, ...] = ()
    asn: int = 0

    def address(self, version: int) -> str:
        """First address of an IP version, "" if none."""
        for text in self.addresses:
            if ipaddress.ip_address(text).version == version:
                return text
        return ""


@dataclass(frozen=True)
class Link:
    """A link between a node (``child``, nearer the homes or a leaf) and one of its parents. ``index`` numbers it."""

    index: int
    child: str
    parent: str

    @property
    def key(self) -> tuple[str, str]:
        return self.child, self.parent

    def mac(self, end: Literal["child", "parent"]) -> str:
        return f"02:00:00:00:{self.index:02x}:{1 if end == 'child' else 2:02x}"

    def link_local(self, end: Literal["child", "parent"]) -> str:
        """The IPv6 link-local address that the kernel derives from the MAC address (RFC 4291, appendix A)."""
        return f"fe80::ff:fe00:{self.index:x}{1 if end == 'child' else 2:02x}"


@dataclass(frozen=True)
class Route:
    """A route of one node: ``via`` are the links of its equal-cost next hops."""

    prefix: str
    via: tuple[Link, ...]


@dataclass
class Topology:
    """Nodes as a directed graph towards one root; several parents are equal-cost paths."""

    nodes: dict[str, Node] = field(default_factory=dict)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Add a node, or change one; its parents may come later."""
        self.nodes[node.name] = node
        for parent in node.parents:
            self.links.setdefault((node.name, parent), Link(len(self.links) + 1, node.name, parent))

    def children(self, name: str) -> list[str]:
        return [link.child for link in self.links.values() if link.parent == name]

    def announced(self, name: str) -> list[str]:
        """Prefixes by which the rest of the net reaches a node and all below it."""
        node = self.nodes[name]
        if node.announce:
            return list(node.announce)
        found = {f"{a}/{ipaddress.ip_address(a).max_prefixlen}": None for a in node.addresses}
        for child in self.children(name):
            found.update(dict.fromkeys(self.announced(child)))
        return list(found)

    def routes(self, name: str) -> Iterator[Route]:
        """The routing table of a node, both IP versions."""
        node = self.nodes[name]
        if node.parents:
            up = tuple(self.links[name, parent] for parent in node.parents)
            yield Route("0.0.0.0/0", up)
            yield Route("::/0", up)
        via: dict[str, list[Link]] = {}
        for child in self.children(name):
            if self.nodes[child].lan:
                continue  # a connected network
            for prefix in self.announced(child):
                via.setdefault(prefix, []).append(self.links[child, name])
        for prefix, links in via.items():
            yield Route(prefix, tuple(links))

    def up_path(self, name: str) -> list[str]:
        """The node and its ancestors along first parents, root last."""
        path = [name]
        while parents := self.nodes[path[-1]].parents:
            path.append(parents[0])
        return path

    def path(self, source: str, destination: str) -> list[str]:
        """Nodes from ``source`` to ``destination``, both included, along first parents."""
        up, down = self.up_path(source), self.up_path(destination)
        meet = next(node for node in up if node in down)
        return up[: up.index(meet) + 1] + down[: down.index(meet)][::-1]

    def distance(self, source: str, node: str) -> int:
        """The TTL that a packet from ``source`` needs to reach ``node``: 1 is the first router."""
        return len(self.path(source, node)) - 1
