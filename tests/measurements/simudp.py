"""Boxes on the way and far ends of the simulated network that read datagrams: QUIC's server name, SIP, STUN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from probe.model.errors import MalformedPacket
from probe.model.packet import Packet, Udp
from probe.wire import quic, sip, stun
from tests.measurements.simboxes import _Box
from tests.measurements.simclients import Client
from tests.measurements.simnet import Internet, Passing, reply


def content(payload: bytes) -> str:
    """What a filter takes a datagram for: "sip", "stun", the server name of a QUIC Initial, or ""."""
    if stun.is_stun(payload):
        return "stun"
    if sip.is_sip(payload):
        return "sip"
    try:
        return quic.decrypt(payload).server_name or "" if quic.is_initial(payload) else ""
    except MalformedPacket:
        return ""


@dataclass(frozen=True)
class QuicServer:
    """Answers QUIC Initials for ``names`` (none: all); another name is ignored, as by a firewall of its own."""

    hops: int = 0
    ttl: int = 64
    names: tuple[str, ...] = ()
    answers: bool = True

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:  # noqa: ARG002
        if not isinstance(packet.header, Udp):
            return
        if not self.answers:
            net.unreachable(flow, packet, 3)
            return
        name = content(packet.payload)
        if not name or (self.names and name not in self.names):
            return
        message = quic.version_negotiation(quic.header(packet.payload))
        header = Udp(packet.header.destination_port, packet.header.source_port, 8 + len(message))
        back = reply(packet, self.ttl, header, message, net.random.randrange(1, 65536))
        net.inward(flow, back, net.back(flow), net.now, behind=net.distance(flow))


@dataclass(frozen=True, kw_only=True)
class UdpFilter(_Box):
    """Acts on datagrams of these ``contents``: drops them (and, for ``residual`` seconds, all of the flow, ``size`` 4,
    or all between the probe and that port of the host, ``size`` 3), rejects them by ICMP, or answers for the host.

    ``first``: it looks only at the first datagram of a flow that comes by.
    ``forwards``: it is a router that looks only at what it forwards, so that a packet that dies on it is not seen.
    """

    contents: tuple[str, ...]
    does: Literal["drop", "reject", "answer"] = "drop"
    first: bool = False
    forwards: bool = False
    residual: float = 0.0
    size: Literal[3, 4] = 4

    def act(self, passing: Passing) -> bool:
        packet = passing.packet
        if not isinstance(packet.header, Udp) or (self.forwards and packet.ttl <= 1):
            return False
        flows = passing.memory.setdefault("flows", set())
        if self.first and passing.flow.port in flows:
            return False
        flows.add(passing.flow.port)
        key = (passing.flow.address, passing.flow.step.port, passing.flow.port if self.size == 4 else 0)
        if passing.when < passing.memory.get(key, -1.0):
            return True
        if content(packet.payload) not in self.contents or not self.strikes(passing):
            return False
        passing.memory[key] = passing.when + self.residual
        if self.does == "reject":
            passing.net.error(passing.flow, packet, passing.hop, 3 if packet.version == 4 else 1, 13)
        elif self.does == "answer":
            back = Udp(packet.header.destination_port, packet.header.source_port, 8 + 30)
            passing.answer(64, back, bytes(30))
            return self.in_path
        return True
