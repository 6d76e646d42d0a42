"""Ethernet frames around the packets, and the packet sockets that carry them."""

from __future__ import annotations

import socket
from typing import NamedTuple

from probe.lab.namespaces import Namespace
from probe.model.errors import MalformedPacket
from probe.model.packet import Packet, Protocol
from probe.wire import ip

_ALL = 0x0003  # ETH_P_ALL
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23  # linux/if_packet.h
_TYPES = {b"\x08\x00": 4, b"\x86\xdd": 6}
_DISCOVERY = range(133, 138)  # RFC 4861: belongs to the link, not to the path
FRAME = 4096  # segmentation offload is off, so no frame is longer than an Ethernet one


class Ends(NamedTuple):
    """MAC addresses of the two nodes that a link joins."""

    client: bytes
    server: bytes


def mac_bytes(text: str) -> bytes:
    """The six bytes of a MAC address written with colons."""
    return bytes.fromhex(text.replace(":", ""))


def open_port(namespace: Namespace, interface: str) -> socket.socket:
    """A socket that hears every frame that comes in on an interface, and sends frames out of it."""
    port = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    port.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    port.bind((interface, _ALL))
    return port


def unwrap(frame: bytes) -> Packet | None:
    """The IP packet in a frame; None for everything else, including what belongs to the link itself."""
    if frame[12:14] not in _TYPES:
        return None
    try:
        packet = ip.decode(frame[14:])
    except MalformedPacket:
        return None
    if packet.protocol == Protocol.ICMPV6 and getattr(packet.header, "type", 0) in _DISCOVERY:
        return None
    if packet.protocol == 0 or packet.ttl == 0:
        return None
    return packet


def wrap(packet: Packet, ends: Ends, upstream: bool) -> bytes:
    """A frame on a link: from its client side to its server side if ``upstream``."""
    source, destination = (ends.client, ends.server) if upstream else (ends.server, ends.client)
    kind = b"\x08\x00" if packet.version == 4 else b"\x86\xdd"
    return destination + source + kind + ip.encode(packet)
