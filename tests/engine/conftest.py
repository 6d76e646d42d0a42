"""A small lab for the engine, and ways to perform steps in it and to see what really leaves a home."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from probe.engine.bench import Bench
from probe.engine.budget import Budget
from probe.engine.clock import Timeline
from probe.engine.guard import Guard, networks
from probe.engine.interfaces import own_addresses
from probe.engine.pace import Pace
from probe.engine.perform import Performer
from probe.engine.ports import Ports
from probe.engine.raw import RawSender
from probe.lab.lab import Lab
from probe.model.config import SafetyConfig
from probe.model.exchange import Exchange, Step
from probe.model.outcome import Entry
from probe.model.packet import Packet, Udp
from probe.wire import ip
from probe.wire.scrub import Scrubber, home_networks


@pytest.fixture(scope="module")
def chain() -> Iterator[Lab]:
    """A client, four routers, a server; 20 ms there and back."""
    with Lab.chain(4, rtt=0.02) as lab:
        yield lab


@dataclass
class Line:
    """Performs batches in the home of a lab, as a run would. ``between``: called between two batches."""

    lab: Lab
    operator: str = "chain"
    interface: str = ""
    records: list[Entry] = field(default_factory=list)

    def perform(
        self,
        *batches: list[Step],
        safety: SafetyConfig | None = None,
        between: Callable[[Performer], Awaitable[None]] | None = None,
        guard: Guard | None = None,
    ) -> list[list[Exchange]]:
        """The exchanges of each batch; ``records`` gets the log's entries."""
        with self.lab.enter(self.operator):
            return asyncio.run(self._perform(batches, safety or self.lab.config(self.operator).safety, between, guard))

    async def _perform(
        self,
        batches: tuple[list[Step], ...],
        safety: SafetyConfig,
        between: Callable[[Performer], Awaitable[None]] | None,
        guard: Guard | None,
    ) -> list[list[Exchange]]:
        authorities = self.lab.config(self.operator).measure.authorities
        self.performer = performer(safety, self.interface, guard, authorities)
        found: list[list[Exchange]] = []
        async with self.performer:
            for number, batch in enumerate(batches):
                if number and between:
                    await between(self.performer)
                found.append(await self.performer.perform(batch, self.records.append))
        return found


def performer(
    safety: SafetyConfig, interface: str = "", guard: Guard | None = None, authorities: str = ""
) -> Performer:
    """A performer as :class:`probe.engine.run.EngineRunner` makes it; call it inside the home."""
    own, random, allow = own_addresses(), Random(), networks(safety.allow_networks)
    return Performer(Bench(
        guard=guard or Guard(allow, own.addresses, own.networks),
        pace=Pace(Budget(safety)),
        own=own,
        scrubber=Scrubber(own.addresses, home_networks(list(own.interfaces)), allow),
        ports=Ports(random),
        raw=RawSender(random, interface),
        timeline=Timeline(),
        interface=interface,
        authorities=authorities,
    ))  # fmt: skip


@pytest.fixture
def line(chain: Lab) -> Line:
    """The line of the chain's client."""
    return Line(chain)


class Eye:
    """Sees every IP packet that enters or leaves a home, without any filter."""

    def __init__(self, lab: Lab, operator: str = "chain") -> None:
        with lab.enter(operator):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.setblocking(False)

    def packets(self) -> list[tuple[bool, Packet]]:
        """(outgoing, packet) of all that was seen since the last call; left out are neighbour discovery and what the
        engine sends to itself to see whether the kernel stamps packets."""
        found: list[tuple[bool, Packet]] = []
        while True:
            try:
                data, address = self._socket.recvfrom(65535)
            except BlockingIOError:
                return found
            if address[1] not in (0x0800, 0x86DD):
                continue
            packet = ip.decode(data)
            if not _of_the_link(packet) and not _to_itself(packet):
                found.append((address[2] == socket.PACKET_OUTGOING, packet))

    def close(self) -> None:
        """Look no more."""
        self._socket.close()


def _of_the_link(packet: Packet) -> bool:
    return packet.protocol in (0, 58) and (packet.header is None or getattr(packet.header, "type", 0) >= 130)


def _to_itself(packet: Packet) -> bool:
    header = packet.header
    same = packet.source == packet.destination == "127.0.0.1"
    return same and isinstance(header, Udp) and header.source_port == header.destination_port and not packet.payload


@pytest.fixture
def eye(chain: Lab) -> Iterator[Eye]:
    """What really passes the chain's client."""
    eye = Eye(chain)
    yield eye
    eye.close()


def descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
