"""Hosts and boxes for `blackhole`: machines with and without a firewall, routers that swallow, refuse or reset."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Literal

from probe.model.packet import Flags, Icmp, Packet, Protocol, Tcp, Udp
from tests.measurements.simclients import Client
from tests.measurements.simnet import Internet, Passing

SYN, RST, ACK = int(Flags.SYN), int(Flags.RST), int(Flags.ACK)
_UNREACHABLE = {4: 3, 6: 1}
_PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}


@dataclass(frozen=True)
class Machine:
    """A host with ports. ``drops``: ports at which its firewall is silent; ``mute``: it answers no ICMP and no UDP.

    ``banned``: share of source ports that it drops (a broken path right before it).
    """

    hops: int = 0
    open: tuple[int, ...] = (80, 443)
    drops: tuple[int, ...] = ()
    dead: bool = False
    mute: bool = False
    ttl: int = 64
    banned: float = 0.0

    def receive(self, net: Internet, flow: Client, packet: Packet, _memory: dict[Any, Any]) -> None:
        header = packet.header
        if self.dead or (flow.port % 100 < 100 * self.banned):
            return
        if isinstance(header, Tcp) and header.flags & SYN and header.destination_port not in self.drops:
            flags = SYN | ACK if header.destination_port in self.open else RST | ACK
            self._say(net, flow, packet, Tcp(
                header.destination_port, header.source_port, net.random.randrange(1 << 32),
                header.sequence + 1 & 0xFFFFFFFF, flags, 65160,
            ))  # fmt: skip
        elif isinstance(header, Icmp) and not self.mute:
            self._say(net, flow, packet, Icmp({8: 0, 128: 129}[header.type], 0, rest=header.rest))
        elif isinstance(header, Udp) and not self.mute:
            kind, code = _PORT_UNREACHABLE[packet.version]
            self._say(net, flow, packet, Icmp(kind, code, quoted=packet))

    def _say(self, net: Internet, flow: Client, packet: Packet, header: Tcp | Icmp) -> None:
        protocol = packet.protocol
        if isinstance(header, Icmp):
            protocol = Protocol.ICMP if packet.version == 4 else Protocol.ICMPV6
        back = Packet(
            version=packet.version, source=packet.destination, destination=packet.source, ttl=self.ttl,
            protocol=protocol, length=60, ident=net.random.randrange(65536) if packet.version == 4 else None,
            header=header,
        )  # fmt: skip
        net.inward(flow, back, net.back(flow), net.now, behind=net.distance(flow))


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A router on link ``at`` that does away with packets to ``networks`` (and ``ports``, if any are given).

    ``late``: it looks at the TTL first, so that it reports packets that die on it (hardware does, Linux does not).
    ``share``: of the flows, by source port (a broken one of several paths).
    """

    at: int
    networks: tuple[str, ...]
    ports: tuple[int, ...] = ()
    does: Literal["drop", "refuse", "reset"] = "drop"
    code: int = 13
    late: bool = False
    share: float = 1.0
    ttl: int = 64
    only: str = ""

    def act(self, passing: Passing) -> bool:
        packet, header = passing.packet, passing.packet.header
        here = ipaddress.ip_address(packet.destination)
        if not any(here in n for n in map(ipaddress.ip_network, self.networks) if n.version == here.version):
            return False
        if self.ports and not (isinstance(header, Tcp) and header.destination_port in self.ports):
            return False
        if (self.late and packet.ttl <= 1) or passing.flow.port % 100 >= 100 * self.share:
            return False
        net = passing.net
        if self.does == "refuse":
            kind = _UNREACHABLE[packet.version]
            net.at(passing.when, lambda: net.error(passing.flow, packet, passing.hop, kind, self.code))
        elif self.does == "reset" and isinstance(header, Tcp):
            back = Tcp(header.destination_port, header.source_port, 0, header.sequence + 1 & 0xFFFFFFFF, RST | ACK, 0)
            passing.answer(self.ttl, back)
        return True

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002 - it minds one direction only
        return False
