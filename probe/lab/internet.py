"""A scenario brought to life in this process: the fabric, its kernel rules, the middleboxes and the servers."""

from __future__ import annotations

import time
from collections import defaultdict
from random import Random

from probe.lab import world
from probe.lab.boxes import Inspector
from probe.lab.boxes.frames import Ends, mac_bytes
from probe.lab.boxes.make import make
from probe.lab.boxes.relay import Relay
from probe.lab.boxes.tap import Tap
from probe.lab.build import WIRE, Fabric, nft
from probe.lab.kinds import Impair, Inspecting, Ruling, SipAlg, Web
from probe.lab.rules import firewall, rate_limit
from probe.lab.ruling import rule
from probe.lab.scenario import Scenario
from probe.lab.services import Closable, Services
from probe.lab.world import World

Key = tuple[str, str]


class Internet:
    """Everything of one scenario that runs: made outside of an event loop (pyroute2 runs its own), then started in one.

    ``close`` ends it all.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.world: World = world.build(scenario)
        self._random = Random(scenario.seed)
        self._open: list[Closable] = []
        self._taps: dict[Key, list[Inspector]] = defaultdict(list)
        self._inspectors: dict[Key, list[Inspector]] = defaultdict(list)
        self._impairments: dict[Key, list[Impair]] = defaultdict(list)
        self._relays: dict[Key, Relay] = {}
        for box in self._boxes():
            if isinstance(box, Impair):
                for key in self.world.entries(box.at):
                    self._impairments[key].append(box)
            elif isinstance(box, Inspecting):
                inspector = make(box, self._random, time.monotonic)
                for key in self._links(box):
                    (self._inspectors if inspector.in_path else self._taps)[key].append(inspector)
        access = self.world.access if scenario.impairable else []
        self.fabric = Fabric(self.world.topology, [*self._inspectors, *self._impairments, *access])
        self._open.append(self.fabric)
        for node, addresses in self.world.discards.items():
            self.fabric.route_away(node, [f"{a}/{128 if ':' in a else 32}" for a in addresses], "blackhole")
        for number, box in enumerate(self.scenario.boxes):
            if isinstance(box, Ruling):
                rule(self.fabric, self.world, box, number)
            elif isinstance(box, Web):
                with self.fabric.namespaces[box.at].inside():
                    if box.firewall:
                        nft(firewall(box.ports))
                    if box.per_second:
                        nft(rate_limit(box.per_second))

    async def start(self) -> None:
        """Start boxes and servers."""
        services = Services(self.scenario, self.world, self.fabric)
        self._open.append(services)
        self.authority = services.authority
        services.start_far_end()
        for key in self.fabric.cut:
            self._relay(key)
        for key, inspectors in self._taps.items():
            self._tap(key, inspectors)
        await services.start()

    def impair(self, how: Impair) -> None:
        """Make the homes' access links so bad from now on, beside what the scenario says. They must be impairable."""
        for key in self.world.access:
            self._relays[key].impair(how)

    def close(self) -> None:
        while self._open:
            self._open.pop().close()

    def _boxes(self) -> list[object]:
        boxes: list[object] = list(self.scenario.boxes)
        if self.scenario.rtt and self.scenario.world == "internet":
            boxes.append(Impair(at="transit.a", delay=self.scenario.rtt / 2))
        elif self.scenario.rtt:
            boxes.append(Impair(at="server", delay=self.scenario.rtt / 2))
        return boxes

    def _links(self, box: Inspecting) -> list[Key]:
        """Where a box acts: a gateway in a home router only behind the NAT, as Linux's helper does."""
        behind = isinstance(box, SipAlg) and self.world.node(box.at).kind == "home_router"
        return self.world.exits(box.at) if behind else self.world.entries(box.at)

    def _sides(self, key: Key) -> tuple[str, str]:
        """The node of a link nearer the homes, and the other."""
        child, parent = key
        return (child, parent) if key in self.world.entries(parent) else (parent, child)

    def _ends(self, key: Key) -> Ends:
        client, server = self._sides(key)
        return Ends(mac_bytes(self.fabric.mac(client, server)), mac_bytes(self.fabric.mac(server, client)))

    def _relay(self, key: Key) -> None:
        child_end, parent_end = self.fabric.cut_ends(self.fabric.cut[key])
        interfaces = (child_end, parent_end) if self._sides(key)[0] == key[0] else (parent_end, child_end)
        relay = self._relays[key] = Relay(
            self.fabric.namespaces[WIRE], interfaces, self._ends(key),
            self._inspectors[key], self._impairments[key], self._random,
        )  # fmt: skip
        self._open.append(relay)

    def _tap(self, key: Key, inspectors: list[Inspector]) -> None:
        client, server = self._sides(key)
        namespace = self.fabric.namespaces[server]
        self._open.append(Tap(namespace, self.fabric.interface(server, client), self._ends(key), inspectors))
