"""Boxes of the simulated network that stand between the probe and the reflector, and pass on something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from probe.model.exchange import Session, TlsStep
from probe.model.packet import Packet, Tcp
from probe.reflector.talk import Peer, Send, Talk
from tests.measurements.certificates import made
from tests.measurements.simfar import EPOCH, HOME, Far
from tests.measurements.simhosts import HELLO, SESSION, named
from tests.measurements.simnet import ACK, PSH, RST, SYN, Passing

Alter = Callable[[bytes], bytes]


def kept(data: bytes) -> bytes:
    """As it is."""
    return data


def proxied(request: bytes) -> bytes:
    """A request as a proxy sends it on: another letter case, and its own name."""
    return request.replace(b"aCCept", b"Accept").replace(b"\r\n\r\n", b"\r\nVia: 1.1 cache\r\n\r\n")


def tidied(request: bytes) -> bytes:
    """The same length, another letter case."""
    return request.replace(b"aCCept", b"Accept")


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Ends connections to ``ports`` (of the reflector) itself, and asks the reflector in its own name.

    ``names``: only those that ask for one of these ("" is any); others it lets through, and where it ``opens``
    connections itself, serves faithfully. ``request``, ``answer``: what it makes of what passes. ``page``: it answers
    with that instead. ``shows``: certificate (DER) of its own. ``late``: a router that looks at what it forwards only
    after it has counted the TTL down. ``ttl``: initial TTL. ``delay``: seconds that it takes.
    """

    at: int
    ports: tuple[int, ...] = (80,)
    names: tuple[str, ...] = ("",)
    opens: bool = True
    request: Alter = kept
    answer: Alter = kept
    page: bytes = b""
    shows: bytes = b""
    late: bool = False
    only: str = ""
    ttl: int = 64
    share: float = 1.0
    delay: float = 0.0

    def _wants(self, name: str | None) -> bool:
        return "" in self.names or name in self.names

    def act(self, passing: Passing) -> bool:
        header, packet = passing.packet.header, passing.packet
        if not isinstance(header, Tcp) or passing.flow.step.port not in self.ports or header.flags & RST:
            return False
        if self.late and packet.ttl <= 1:
            return False
        if packet.payload and (self.opens or self._wants(named(packet.payload))):
            if passing.net.random.random() < self.share or self.opens:
                self._serve(passing, header, packet)
                return True
            return False
        if not self.opens:
            return False
        if header.flags & SYN:
            first = passing.memory.setdefault(passing.flow.port, passing.net.random.randrange(1 << 32))
            ahead = header.sequence + 1 & 0xFFFFFFFF
            back = Tcp(header.destination_port, header.source_port, first, ahead, SYN | ACK, 65160)
            passing.answer(self.ttl, back)
        return True

    def _serve(self, passing: Passing, header: Tcp, packet: Packet) -> None:
        body = self._body(passing, packet)
        ahead = header.sequence + len(packet.payload) & 0xFFFFFFFF
        back = Tcp(header.destination_port, header.source_port, header.acknowledgement, ahead, ACK | PSH, 65160)
        passing.answer(self.ttl, back, body, self.delay)

    def _body(self, passing: Passing, packet: Packet) -> bytes:
        if packet.payload[:1] == b"\x16":
            return HELLO
        meddles = self._wants(named(packet.payload)) and passing.net.random.random() < self.share
        if meddles and self.page:
            return self.page
        net, address = passing.net, passing.flow.address
        far = net.network.hosts[address]
        assert isinstance(far, Far)
        assert isinstance(packet.header, Tcp)
        peer = Peer(HOME[packet.version], packet.header.source_port, address, packet.header.destination_port)
        asked = self.request(packet.payload) if meddles else packet.payload
        acts = Talk(far.core(net.memory_of(address)), peer).feed(asked, EPOCH + net.now)
        said = b"".join(one.data for one in acts if isinstance(one, Send))
        return self.answer(said) if meddles else said

    def session(self, step: TlsStep) -> Session | None:
        """A session with its own certificate."""
        if not self.shows or step.port not in self.ports or not self._wants(step.server_name):
            return None
        return msgspec.structs.replace(SESSION, chain=(self.shows,), distrust="unknown issuer")

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, kw_only=True)
class Inline:
    """Changes requests to ``ports`` in passing (to others of the same length), and lets them travel on."""

    at: int
    ports: tuple[int, ...] = (80,)
    names: tuple[str, ...] = ("",)
    request: Alter = tidied
    only: str = ""

    def act(self, passing: Passing) -> bool:
        packet, net, flow = passing.packet, passing.net, passing.flow
        if not isinstance(packet.header, Tcp) or not packet.payload or flow.step.port not in self.ports:
            return False
        if not ("" in self.names or named(packet.payload) in self.names):
            return False
        changed = msgspec.structs.replace(packet, payload=self.request(packet.payload))
        left = net.distance(flow) - passing.hop  # routers from here on
        if packet.ttl - 1 < left:
            hop = passing.hop + packet.ttl - 1
            net.at(passing.when, lambda: net.error(flow, changed, hop, 3 if packet.version == 6 else 11))
            return True
        host: Any = net.network.hosts[flow.address]
        arrives = passing.when + left * net.network.delay
        net.at(arrives, lambda: host.receive(net, flow, changed, net.memory_of(flow.address)))
        return True

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002
        return False


MITM = made("Operator Secure Gateway", "banned.example")
