"""The far end of the simulated network: a host that runs the reflector's own core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from probe.model.packet import Packet, Tcp, Udp
from probe.reflector.core import Came, Reflector, Reply
from probe.reflector.settings import Settings
from probe.reflector.talk import Close, Peer, Run, Send, StartTls, Talk
from tests.measurements.simclients import Client
from tests.measurements.simhosts import HELLO, Web
from tests.measurements.simnet import Internet, reply

FAR = {4: "203.0.113.190", 6: "2001:db8:c0::90"}
HOME = {4: "198.51.100.77", 6: "2001:db8:77::7"}
"""The home's public address, as the reflector sees it."""
EPOCH = 1_800_000_000.0
SETTINGS = Settings(
    secret=b"s" * 32, name="reflector.example", zone="r.example", addresses=tuple(FAR.values()),
    udp=(53, 443, 3478, 5060, 20_001, 47474), tcp=(80, 443, 5060, 5061, 20_001, 47474), random=(20_001,),
    certificate="00" * 32,
)  # fmt: skip


@dataclass(frozen=True)
class Far(Web):
    """A reflector on every port. ``raw``: it sees what arrives before any firewall; ``mute``: it answers nothing.

    Over TCP it answers the first whole request of a connection.
    """

    settings: Settings = SETTINGS
    raw: bool = True
    mute: bool = False
    pool: int = 1  # public addresses that the line's flows are spread over

    def core(self, memory: dict[Any, Any]) -> Reflector:
        """The reflector of one network; ``memory`` is that of its address (``Internet.memory_of``)."""
        found: Reflector = memory.setdefault("core", Reflector(self.settings, EPOCH - 1000, raw=self.raw))
        return found

    def source(self, packet: Packet) -> str:
        """The home's public address on that flow."""
        port = packet.header.source_port if isinstance(packet.header, Tcp | Udp) else 0
        return HOME[packet.version][:-1] + str(7 - port % self.pool)

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:
        core, now = self.core(memory), EPOCH + net.now
        seen = msgspec.structs.replace(packet, source=self.source(packet))
        if self.raw:
            core.arrived(seen, now)
        if self.mute:
            return
        if not isinstance(packet.header, Udp):
            super().receive(net, flow, packet, memory)
            return
        header, ttl = packet.header, packet.ttl - net.distance(flow) + 1
        came = Came(
            packet.payload, seen.source, header.source_port, flow.address, header.destination_port, ttl, packet.tos
        )  # fmt: skip
        for act in core.datagram(came, now):
            if isinstance(act, Reply):
                back = Udp(header.destination_port, header.source_port, 8 + len(act.data))
                answer = reply(packet, self.ttl, back, act.data, net.random.randrange(1, 65536))
                answer = msgspec.structs.replace(answer, tos=act.tos)
                net.inward(flow, answer, net.back(flow), net.now, behind=net.distance(flow))

    def _asked(self, net: Internet, flow: Client, packet: Packet, state: Any, memory: dict[Any, Any]) -> None:
        assert isinstance(packet.header, Tcp)
        peer = Peer(self.source(packet), packet.header.source_port, flow.address, packet.header.destination_port)
        body = b""
        for act in Talk(self.core(memory), peer).feed(state.request, EPOCH + net.now):
            match act:
                case Send(data):
                    body += data
                case Run(head=head):
                    body += head or HELLO
                case StartTls():
                    body += HELLO
                case Close():
                    pass
        if body:
            for again in (0.0, 0.3, 0.9, 2.1):
                net.at(net.now + again, lambda: self._serve(net, flow, packet, state, body))
