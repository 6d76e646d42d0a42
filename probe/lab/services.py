"""The servers of a scenario: resolvers, web servers, and those of boxes that take connections for themselves."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterable
from typing import Protocol

from probe.lab.build import Fabric
from probe.lab.kinds import DnsRedirect, HomeDns, HttpProxy, Installed, Portal, Resolver, TlsMitm, Web
from probe.lab.ruling import port_of
from probe.lab.scenario import Scenario
from probe.lab.servers import certificate
from probe.lab.servers.far import FarEnd
from probe.lab.servers.mitm import TlsMitmServer
from probe.lab.servers.portal import PortalServer
from probe.lab.servers.proxy import HttpProxyServer
from probe.lab.servers.resolver import Elsewhere, ResolverServer
from probe.lab.servers.web import WebServer
from probe.lab.servers.zone import Zone
from probe.lab.world import REFLECTOR, REFLECTOR_ADDRESSES, REFLECTOR_NAME, REFLECTOR_ZONE, World


class Closable(Protocol):
    """What runs until it is closed."""

    def close(self) -> None: ...


class Services:
    """Starts them in an event loop. ``authority``: who vouches for the servers' certificates, as PEM."""

    def __init__(self, scenario: Scenario, world: World, fabric: Fabric) -> None:
        self._scenario = scenario
        self._world = world
        self._fabric = fabric
        self._open: list[Closable] = []
        self._context: ssl.SSLContext
        self._context, self.authority = certificate.make(
            world.names, (a for node in world.resolvers for a in world.node(node).addresses)
        )
        self._reflectors: list[FarEnd] = []
        self._installed = [box for box in scenario.boxes if isinstance(box, Installed)]
        self._secret = secrets.token_hex(16)

    def start_far_end(self) -> None:
        """Start the reflector, in a thread of its own: it comes up while the rest is made."""
        if REFLECTOR not in self._world.topology.nodes:
            return
        peers = {box.at: self._world.node(box.at).address(4) for box in self._installed}
        answering, silent = REFLECTOR_ADDRESSES[:2], REFLECTOR_ADDRESSES[2:]
        self._start(FarEnd(
            self._fabric.namespaces[REFLECTOR], answering, silent=silent, name=REFLECTOR_NAME, zone=REFLECTOR_ZONE,
            secret=self._secret, peers=peers,
        ))  # fmt: skip

    async def start(self) -> None:
        """Start all the rest, and wait for the reflector."""
        for node in self._resolvers():
            context = None if node in self._world.webs else self._context  # its port 443 is taken
            await self._resolver(node, self._world.node(node).addresses, self._zone(node), context)
        for number, box in enumerate(self._scenario.boxes):
            match box:
                case HomeDns():
                    await self._home_dns(box)
                case HttpProxy():
                    self._run(HttpProxyServer(self._fabric.namespaces[box.at], box, port_of(number)))
                case TlsMitm():
                    self._run(TlsMitmServer(self._fabric.namespaces[box.at], box, port_of(number)))
                case Portal():
                    self._run(PortalServer(self._fabric.namespaces[box.at], port_of(number)))
                    own = self._world.node(box.at)
                    every = Resolver(at=box.at, names=("*",), answer=own.address(4), answer6=own.address(6))
                    await self._resolver(box.at, own.addresses, Zone({}, [every]))
                case _:
                    pass
        for node in self._world.webs:
            self._web(node)
        for installed in self._installed:  # after the web servers: it takes the ports that are left
            self._start(FarEnd(
                self._fabric.namespaces[installed.at], self._world.node(installed.at).addresses, name=installed.at,
                zone="", secret=self._secret,
            ))  # fmt: skip
        for far in self._reflectors:
            far.await_ready()

    def close(self) -> None:
        """End all."""
        while self._open:
            self._open.pop().close()

    def _resolvers(self) -> Iterable[str]:
        """Nodes that resolve: those of the world, and routers to which queries are redirected."""
        redirects = [box.to for box in self._scenario.boxes if isinstance(box, DnsRedirect) and box.to]
        return dict.fromkeys([*self._world.resolvers, *redirects])

    def _zone(self, node: str) -> Zone:
        changes = [box for box in self._scenario.boxes if isinstance(box, Resolver) and box.at == node]
        return Zone(self._world.names, changes, node)

    async def _home_dns(self, box: HomeDns) -> None:
        home = next(child for child, _ in self._world.entries(box.at))
        lan = self._world.node(home).lan or ()
        chosen = [Resolver(at=box.at, names=box.names, answer=box.answer)] if box.names else []
        inner = [lan[i].partition("/")[0] for i in (1, 3)]
        await self._resolver(box.at, inner, Zone(self._world.names, chosen, box.at))

    async def _resolver(
        self, node: str, addresses: Iterable[str], zone: Zone, context: ssl.SSLContext | None = None
    ) -> None:
        elsewhere = None
        if REFLECTOR in self._world.topology.nodes:
            asked = self._world.node(REFLECTOR).address(4)
            elsewhere = Elsewhere(REFLECTOR_ZONE, asked, self._world.node(node).address(4))
        server = ResolverServer(self._fabric.namespaces[node], addresses, zone, context, elsewhere)
        await server.start()
        self._open.append(server)

    def _web(self, node: str) -> None:
        boxes = self._scenario.boxes
        spec = next((box for box in boxes if isinstance(box, Web) and box.at == node), Web(at=node))
        own = self._world.node(node).addresses
        known = {name for name, addresses in self._world.names.items() if set(addresses) & set(own)}
        self._run(WebServer(self._fabric.namespaces[node], spec, self._context, known))

    def _start(self, far: FarEnd) -> None:
        far.start()
        self._open.append(far)
        self._reflectors.append(far)

    def _run(self, server: WebServer | HttpProxyServer | TlsMitmServer | PortalServer) -> None:
        server.start()
        self._open.append(server)
