"""Raw sockets for what no kernel socket sends: bare SYNs, bare ACKs of an open flow, ICMP echoes at a TTL.

The kernel builds the IP header (so IPv4 and IPv6 are alike, and the route and source are its own); these sockets
receive nothing. Needs CAP_NET_RAW.
"""

from __future__ import annotations

import socket
import struct
from random import Random

from probe.engine import privilege, sockets
from probe.model.packet import Flags, Protocol
from probe.wire.address import address_bytes
from probe.wire.checksum import checksum, pseudo_header

_MSS = b"\x02\x04\x05\xb4"  # 1460 bytes (RFC 9293, section 3.7.1)


class RawSender:
    """Opens each raw socket when it is first needed."""

    def __init__(self, random: Random, interface: str = "") -> None:
        self._interface = interface
        self._sockets: dict[tuple[int, int], socket.socket] = {}
        self._sequence = 0
        self._number = random.getrandbits(16)
        # A far end tells by it that these echoes arrived, and no others: NATs change identifiers.
        self._mark = random.getrandbits(64).to_bytes(8, "big")

    def close(self) -> None:
        """Close all sockets."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def syn(self, source: str, destination: str, source_port: int, port: int, ttl: int) -> None:
        """A SYN with the MSS option alone (RFC 9293, section 3.7.1).

        Its sequence number counts on from a random one. The lower half makes up for the upper, so that all SYNs of a
        flow have one checksum: a thousand of them compress well.
        """
        self._number = (self._number + 1) & 0xFFFF
        sequence = self._number << 16 | 0xFFFF - self._number
        self._tcp(source, destination, source_port, port, ttl, sequence, 0, Flags.SYN, _MSS)

    def ack(
        self, source: str, destination: str, source_port: int, port: int, ttl: int, sequence: int, acknowledgement: int
    ) -> None:
        """A segment without data. Its window (512 + TTL) tells which one a router quotes where there is no IP ID."""
        self._tcp(source, destination, source_port, port, ttl, sequence, acknowledgement, Flags.ACK, b"")

    def data(
        self, source: str, destination: str, source_port: int, port: int, ttl: int,
        sequence: int, acknowledgement: int, payload: bytes,
    ) -> None:  # fmt: skip
        """A segment with data that is to die on the way. It must fit into one packet."""
        flags = Flags.ACK | Flags.PSH
        self._tcp(source, destination, source_port, port, ttl, sequence, acknowledgement, flags, b"", payload)

    def _tcp(
        self, source: str, destination: str, source_port: int, port: int, ttl: int,
        sequence: int, acknowledgement: int, flags: int, options: bytes, payload: bytes = b"",
    ) -> None:  # fmt: skip
        offset = (20 + len(options)) << 2
        body = struct.pack(">HHIIBBHHH", source_port, port, sequence, acknowledgement, offset, flags, 512 + ttl, 0, 0)
        body += options + payload
        start = pseudo_header(address_bytes(source), address_bytes(destination), Protocol.TCP, len(body))
        total = checksum(body, start)
        self._send(destination, Protocol.TCP, body[:16] + struct.pack(">H", total) + body[18:], ttl)

    def echo(self, destination: str, identifier: int, ttl: int) -> None:
        """An echo request (RFC 792, RFC 4443). Two bytes of data make up for the sequence number, so that all echoes
        of a flow have one checksum: equal-cost paths may be chosen by it (Paris traceroute)."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        sequence = self._sequence
        data = struct.pack(">H", 0xFFFF - sequence) + self._mark
        if ":" in destination:
            body = struct.pack(">BBHHH", 128, 0, 0, identifier, sequence) + data
            self._send(destination, Protocol.ICMPV6, body, ttl)  # the kernel fills in the checksum
            return
        body = struct.pack(">BBHHH", 8, 0, 0, identifier, sequence) + data
        self._send(destination, Protocol.ICMP, body[:2] + struct.pack(">H", checksum(body)) + body[4:], ttl)

    def _send(self, destination: str, protocol: Protocol, body: bytes, ttl: int) -> None:
        family = sockets.family(destination)
        sock = self._open(family, protocol)
        sock.sendmsg([body], sockets.header_fields(family, ttl), 0, (destination, 0))

    def _open(self, family: int, protocol: Protocol) -> socket.socket:
        sock = self._sockets.get((family, protocol))
        if sock is None:
            sock = self._sockets[family, protocol] = privilege.raw(family, protocol, self._interface)
        return sock
