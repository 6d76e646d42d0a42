"""Flows as boxes know them, and packets that answer others."""

from __future__ import annotations

from probe.lab.kinds.base import Direction, Ports
from probe.model.packet import Flags, Packet, Tcp, Udp

Flow = tuple[str, int, str, int]
"""Client address and port, server address and port."""
_MASK = 0xFFFFFFFF


def flow_of(packet: Packet, header: Tcp | Udp, upstream: bool) -> Flow:
    """The flow of a packet that goes up or down."""
    if upstream:
        return packet.source, header.source_port, packet.destination, header.destination_port
    return packet.destination, header.destination_port, packet.source, header.source_port


def among(port: int, ports: Ports) -> bool:
    """Whether a port is one of these; no ports are all."""
    if not ports:
        return True
    for one in ports:
        low, _, high = str(one).partition("-")
        if int(low) <= port <= int(high or low):
            return True
    return False


def goes(upstream: bool, direction: Direction) -> bool:
    """Whether a packet goes a way that a box minds."""
    return direction in ("both", "up" if upstream else "down")


def answering(to: Packet, header: Tcp | Udp, payload: bytes, ttl: int, ident: int) -> Packet:
    """A packet that seems to answer another, from the address that one went to."""
    return Packet(
        to.version, to.destination, to.source, ttl, to.protocol, 0, ident if to.version == 4 else None, header=header,
        payload=payload,
    )


def resets(packet: Packet, header: Tcp) -> tuple[Packet, Packet]:
    """What a firewall sends to end a flow whose packet it swallows: a reset back to the sender, and one onwards."""
    behind = (header.sequence + len(packet.payload)) & _MASK
    back = Tcp(header.destination_port, header.source_port, header.acknowledgement, behind, Flags.RST | Flags.ACK, 0)
    on = Tcp(header.source_port, header.destination_port, header.sequence, header.acknowledgement,
             Flags.RST | Flags.ACK, 0)
    ident = None if packet.version == 6 else 0
    onwards = Packet(packet.version, packet.source, packet.destination, 64, packet.protocol, 0, ident, header=on)
    return answering(packet, back, b"", 64, 0), onwards
