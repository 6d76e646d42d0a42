"""A small Internet in memory and virtual time, to attack the rules with. Nothing is really sent.

One line of routers leads from the probe to every host. A packet sent with TTL t crosses the links 1 … t; link k leads
into hop k, and a box `at` k sits on it. A host lies `hops` away: a TTL of that many just arrives. Hosts are in
`simhosts`, boxes in `simboxes`, the probe's own TCP and UDP in `simclients`. All chance comes from one seed.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from probe.measurements import Context, Part, T, load, parse_options
from probe.model.exchange import Exchange, Session, Step, TlsStep
from probe.model.finding import Judgement
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp

if TYPE_CHECKING:
    from tests.measurements.simclients import Client

FIN, SYN, RST, PSH, ACK = (int(one) for one in (Flags.FIN, Flags.SYN, Flags.RST, Flags.PSH, Flags.ACK))
SELF = {4: "0.0.0.0", 6: "::"}
_ROUTER = re.compile(r"(?:198\.51\.|2001:db8:)([01])(?:\.|::)([0-9a-f]{1,2})")
_ICMP = {4: 1, 6: 58}
_EXCEEDED = {4: 11, 6: 3}
_UNREACHABLE = {4: 3, 6: 1}


class Host(Protocol):
    """The far end of an address. ``hops``: the TTL that just arrives; 0: the network's usual."""

    @property
    def hops(self) -> int: ...

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:
        """A packet has arrived."""


class Box(Protocol):
    """Something on link ``at``, towards every host or ``only`` one address."""

    @property
    def at(self) -> int: ...

    @property
    def only(self) -> str: ...

    def act(self, passing: Passing) -> bool:
        """See a packet on its way to a host, ``packet.ttl`` being what is left of its TTL. True: it goes no farther."""

    def holds_back(self, passing: Passing) -> bool:
        """See a packet on its way back. True: it goes no farther."""


@dataclass(frozen=True)
class Network:
    """A network as data. Delays are in seconds one way, probabilities 0..1 for each packet and direction."""

    hops: int = 9
    back: int = 0  # routers more (or fewer) on the way back from a host than on the way there
    home: int = 1  # routers inside the home
    silent: frozenset[int] = frozenset()  # hops that send no ICMP
    limited: frozenset[int] = frozenset()  # hops that send one ICMP error in `limit` seconds, after `burst` of them
    limit: float = 1.0
    burst: int = 1
    short_quotes: bool = False  # routers quote 8 bytes behind the IP header
    delay: float = 0.001  # of one link
    jitter: float = 0.0
    loss: float = 0.0
    lossy_link: int = 2
    duplicate: float = 0.0
    reorder: float = 0.0  # share of packets that are held back for 20 ms
    nat: bool = True  # the home router hides resets whose sequence number is out of window
    uneven: int = 0  # half of all flows take a way with so many routers more …
    divides: int = 3  # … behind this hop
    version: int = 4
    line: float = 1_250_000.0  # bytes a second that it carries …
    traffic: Callable[[Random, float], float] | None = None  # … of which others leave this share, at that moment
    hosts: dict[str, Host] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Passing:
    """A packet on a box's link: when, how much longer the flow's way there is than usual, what the box remembers."""

    net: Internet
    flow: Client
    packet: Packet
    when: float
    hop: int
    memory: dict[Any, Any]

    def answer(self, ttl: int, header: Tcp | Udp, payload: bytes = b"", delay: float = 0.0) -> None:
        """Send a packet to the probe in the host's name, with that initial TTL."""
        packet = reply(self.packet, ttl, header, payload, self.net.random.randrange(1, 65536))
        self.net.inward(self.flow, packet, self.hop - 1, self.when + delay)


class Internet:
    """A network in motion."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self.random = Random(seed)
        self.now = 0.0
        self.sent = 0
        self.asked: dict[Step, Client] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._boxes = sorted(network.boxes, key=lambda box: box.at)
        self._memory: dict[int, dict[Any, Any]] = {id(box): {} for box in network.boxes}
        self._host_memory: dict[str, dict[Any, Any]] = {}
        self._tokens: dict[int, tuple[float, float]] = {}

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._queue, (when, next(self._order), what))

    def perform(self, steps: list[Step]) -> list[Exchange]:
        """A batch, all steps side by side (half a millisecond apart)."""
        from tests.measurements.simclients import client

        clients = [client(self, step) for step in steps]
        self.asked |= zip(steps, clients, strict=True)
        for i, one in enumerate(clients):
            self.at(self.now + 0.0005 * i, one.begin)
        waited_for = 0
        while waited_for < len(clients):
            if clients[waited_for].ended:
                waited_for += 1
                continue
            self.now, _, what = heapq.heappop(self._queue)
            what()
        return [one.exchange() for one in clients]

    def distance(self, flow: Client) -> int:
        """TTL that just reaches the flow's host."""
        return self._usual(flow.address) + self._detour(flow, self._usual(flow.address))

    def _usual(self, address: str) -> int:
        host = self.network.hosts.get(address)
        if host is None and (at := _ROUTER.fullmatch(address)) is not None:  # a router, as :meth:`router` names it
            branch, hop = int(at[1], 16), int(at[2], 16 if self.network.version == 6 else 10)
            shorter = hop - branch * self.network.uneven
            return shorter if shorter > self.network.divides else hop  # else it is on the detour alone
        return (host.hops if host else 0) or self.network.hops

    def _detour(self, flow: Client, at: int) -> int:
        return self.network.uneven if flow.detour and at > self.network.divides else 0

    def back(self, flow: Client) -> int:
        """Routers between the flow's host and the probe."""
        return self.distance(flow) - 1 + self.network.back

    def outward(self, flow: Client, packet: Packet) -> None:
        """The probe sends a packet."""
        self.sent += 1
        if self._chance(self.network.duplicate):
            self._outward(flow, packet)
        self._outward(flow, packet)

    def _outward(self, flow: Client, packet: Packet) -> None:
        network, distance = self.network, self.distance(flow)
        reaches = min(packet.ttl, distance)
        lost_at = network.lossy_link if reaches >= network.lossy_link and self._chance(network.loss) else 256
        start = self.now + self._stray()
        for box in self._boxes:
            hop = box.at + self._detour(flow, box.at)
            if hop > reaches or hop > lost_at or (box.only and box.only != flow.address):
                continue
            left = _with_ttl(packet, packet.ttl - hop + 1)
            if box.act(Passing(self, flow, left, start + (hop - 0.5) * network.delay, hop, self._memory[id(box)])):
                return
        if lost_at <= reaches:
            return
        when = start + reaches * network.delay
        if packet.ttl < distance:
            self.at(when, lambda: self._expire(flow, packet))
            return
        host = network.hosts.get(flow.address)
        if host is not None:
            self.at(when, lambda: host.receive(self, flow, packet, self.memory_of(flow.address)))

    def memory_of(self, address: str) -> dict[Any, Any]:
        """What a host remembers."""
        return self._host_memory.setdefault(address, {})

    def session(self, flow: Client, step: TlsStep) -> Session:
        """The TLS session that a flow gets: the host's, unless a box on the way gives one of its own."""
        parties = [*self._on_the_way(flow), self.network.hosts.get(flow.address)]
        for party in parties:
            found: Session | None = party.session(step) if hasattr(party, "session") else None
            if found is not None:
                return found
        return Session(alert="whoever answered speaks no TLS")

    def rate(self, flow: Client, *, upload: bool) -> float:
        """Bytes a second that a transfer may have at this moment."""
        network = self.network
        rates = [network.line * (network.traffic(self.random, self.now) if network.traffic else 1.0)]
        rates += [box.rate(self, flow, upload, self._memory[id(box)])
                  for box in self._on_the_way(flow) if hasattr(box, "rate")]  # fmt: skip
        host: Any = network.hosts.get(flow.address)
        if hasattr(host, "rate"):
            rates.append(host.rate(self, flow, upload, self.memory_of(flow.address)))
        return min(rates)

    def _on_the_way(self, flow: Client) -> list[Any]:
        return [box for box in self._boxes
                if box.only in ("", flow.address)
                and box.at + self._detour(flow, box.at) <= self.distance(flow)]  # fmt: skip

    def _expire(self, flow: Client, packet: Packet) -> None:
        self.error(flow, packet, packet.ttl, _EXCEEDED[self.network.version])

    def unreachable(self, flow: Client, packet: Packet, code: int) -> None:
        """The last router before the host says so."""
        self.error(flow, packet, self.distance(flow) - 1, _UNREACHABLE[self.network.version], code)

    def error(self, flow: Client, packet: Packet, hop: int, kind: int, code: int = 0) -> None:
        """The router at ``hop`` sends an ICMP error about a packet, if it may."""
        network = self.network
        if hop in network.silent or (hop in network.limited and not self._token(hop)):
            return
        router = self.router(flow, hop)
        quoted = _quote(packet, network.short_quotes)
        header = Icmp(kind, code, quoted=quoted)
        message = Packet(
            version=network.version, source=router, destination=SELF[network.version], ttl=255,
            protocol=_ICMP[network.version], length=56, ident=self.random.randrange(65536), header=header,
        )  # fmt: skip
        self.inward(flow, message, hop - 1, self.now, behind=hop)

    def router(self, flow: Client, hop: int) -> str:
        """Address of the router at a hop of the flow's way."""
        home, six = hop <= self.network.home, self.network.version == 6
        if home:
            return f"::{hop:x}" if six else f"0.0.0.{hop}"
        branch = 1 if self._detour(flow, hop) else 0
        return f"2001:db8:{branch}::{hop:x}" if six else f"198.51.{branch}.{hop}"

    def _token(self, hop: int) -> bool:
        """One token in `limit` seconds, never more than `burst` of them."""
        tokens, since = self._tokens.get(hop, (float(self.network.burst), self.now))
        tokens = min(float(self.network.burst), tokens + (self.now - since) / self.network.limit)
        self._tokens[hop] = (tokens - 1 if tokens >= 1 else tokens, self.now)
        return tokens >= 1

    def inward(self, flow: Client, packet: Packet, routers: int, when: float, behind: int | None = None) -> None:
        """A packet leaves for the probe; that many routers count its TTL down. ``behind``: hop that it comes from."""
        network = self.network
        left = packet.ttl - routers
        origin = routers + 1 if behind is None else behind
        if left <= 0 or (origin >= network.lossy_link and self._chance(network.loss)):
            return
        for box in self._boxes:
            hop = box.at + self._detour(flow, box.at)
            if hop <= origin and box.holds_back(Passing(self, flow, packet, when, hop, self._memory[id(box)])):
                return
        arrives = when + (origin - 0.5) * network.delay + self._stray()
        arrived = _with_ttl(packet, left)
        for copy in range(2 if self._chance(network.duplicate) else 1):
            self.at(arrives + 0.0002 * copy, lambda: self._deliver(flow, arrived))

    def _deliver(self, flow: Client, packet: Packet) -> None:
        if flow.ended:
            flow.overhear(packet)
        elif not (self.network.nat and flow.out_of_window(packet)):
            flow.hear(packet)

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    def _stray(self) -> float:
        late = 0.02 if self._chance(self.network.reorder) else 0.0
        return late + (self.random.uniform(0, self.network.jitter) if self.network.jitter else 0.0)


def reply(to: Packet, ttl: int, header: Tcp | Udp, payload: bytes, ident: int) -> Packet:
    """A packet from the destination of another, back to its source."""
    six = to.version == 6
    return Packet(
        version=to.version, source=to.destination, destination=to.source, ttl=ttl, protocol=to.protocol,
        length=40 + len(payload), ident=None if six else ident, header=header, payload=payload,
    )  # fmt: skip


def _with_ttl(packet: Packet, ttl: int) -> Packet:
    return Packet(
        version=packet.version, source=packet.source, destination=packet.destination, ttl=ttl, protocol=packet.protocol,
        length=packet.length, ident=packet.ident, tos=packet.tos, header=packet.header, payload=packet.payload,
    )  # fmt: skip


def _quote(packet: Packet, short: bool) -> Packet:
    header = packet.header
    quoted = _with_ttl(packet, 1)
    if not short:
        return quoted
    if isinstance(header, Tcp):
        header = Tcp(header.source_port, header.destination_port, header.sequence, 0, 0, 0)
    return Packet(
        version=packet.version, source=packet.source, destination=packet.destination, ttl=1, protocol=packet.protocol,
        length=packet.length, ident=packet.ident, tos=packet.tos, header=header,
    )  # fmt: skip


def drive(part: Part[T], net: Internet, batches: list[list[Step]] | None = None) -> T:
    """Run a measurement's generator, or a part's, to its end. ``batches``: takes down what was asked."""
    try:
        batch = next(part)
        while True:
            if batches is not None:
                batches.append(batch)
            batch = part.send(net.perform(batch))
    except StopIteration as stop:
        result: T = stop.value
        return result


def measure(kind: str, network: Network, seed: int, **options: object) -> Judgement:
    """One measurement on a fresh network."""
    measurement = load(kind)
    parsed = parse_options(measurement, options)
    return drive(measurement.measure(parsed, Context(Random(seed))), Internet(network, seed))
