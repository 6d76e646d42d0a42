"""A decoded packet, as the codecs of ``probe.wire`` give it and the measurements read it.

Addresses are text in their canonical form. The probe's own address never appears: the engine's edge replaces it by
``0.0.0.0`` (``::``), and addresses inside the home by ``0.0.0.1`` … (``::1`` …), before anything else sees a packet.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

import msgspec


class Protocol(IntEnum):
    """IP protocol numbers that Colibri speaks (IANA)."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58


class Flags(IntFlag):
    """TCP control bits (RFC 9293, section 3.1)."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128


class Tcp(msgspec.Struct, frozen=True, gc=False):
    """A TCP header. ``options`` holds the raw option bytes, padding included."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    checksum: int = 0
    urgent: int = 0
    options: bytes = b""


class Udp(msgspec.Struct, frozen=True, gc=False):
    """A UDP header. ``length`` is the field as received, header included."""

    source_port: int
    destination_port: int
    length: int
    checksum: int = 0


class Icmp(msgspec.Struct, frozen=True):
    """An ICMP or ICMPv6 message; ``quoted`` is the packet inside an error (RFC 792, RFC 4443, RFC 4884), cut as it was.

    ``rest`` is the second 32-bit word (identifier and sequence of an echo, next-hop MTU, …).
    """

    type: int
    code: int
    checksum: int = 0
    rest: int = 0
    quoted: Packet | None = None

    @property
    def identifier(self) -> int:
        """Identifier of an echo request or reply."""
        return self.rest >> 16

    @property
    def sequence(self) -> int:
        """Sequence number of an echo request or reply."""
        return self.rest & 0xFFFF


class Packet(msgspec.Struct, frozen=True):
    """One IP packet. ``ident`` is None for IPv6 without a fragment header; ``tos`` is the traffic class for IPv6.

    ``header`` is None when the transport header is missing or cut (a fragment, a short quote).
    ``payload`` is what follows the transport header, cut as captured; ``length`` is the total length that the IP
    header claims, in bytes.
    """

    version: int
    source: str
    destination: str
    ttl: int
    protocol: int
    length: int
    ident: int | None = None
    tos: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment_offset: int = 0
    header: Tcp | Udp | Icmp | None = None
    payload: bytes = b""
