"""TCP (RFC 9293) and UDP (RFC 768) headers, in place inside a packet's bytes."""

from __future__ import annotations

from struct import Struct

from probe.model.errors import MalformedPacket
from probe.model.packet import Tcp, Udp

_TCP = Struct(">HHIIBBHHH")
_UDP = Struct(">HHHH")


def decode_tcp(raw: bytes, at: int, end: int) -> tuple[Tcp, bytes]:
    """Header at ``raw[at:end]`` and what follows it. Raises MalformedPacket unless the header is whole."""
    if end - at < 20:
        raise MalformedPacket(f"TCP header cut after {end - at} bytes")
    source, destination, sequence, ack, offset, flags, window, check, urgent = _TCP.unpack_from(raw, at)
    body = at + (offset >> 4) * 4
    if not at + 20 <= body <= end:
        raise MalformedPacket(f"TCP data offset {offset >> 4} in {end - at} bytes")
    header = Tcp(source, destination, sequence, ack, flags, window, check, urgent, raw[at + 20 : body])
    return header, raw[body:end]


def decode_tcp_quote(raw: bytes, at: int, end: int) -> tuple[Tcp | None, bytes]:
    """The same of a packet quoted by an ICMP error, which may stop after 8 bytes (RFC 792): what is missing is 0."""
    if end - at < 8:
        return None, raw[at:end]
    fields = _TCP.unpack_from(raw[at : at + 20] if at + 20 <= end else raw[at:end].ljust(20, b"\0"))
    source, destination, sequence, ack, offset, flags, window, check, urgent = fields
    start = min(at + 20, end)
    body = min(max(start, at + (offset >> 4) * 4), end)
    header = Tcp(source, destination, sequence, ack, flags, window, check, urgent, raw[start:body])
    return header, raw[body:end]


def decode_udp(raw: bytes, at: int, end: int) -> tuple[Udp, bytes]:
    """Header at ``raw[at:end]`` and the payload, cut at the header's own length. Raises MalformedPacket."""
    if end - at < 8:
        raise MalformedPacket(f"UDP header cut after {end - at} bytes")
    source, destination, length, check = _UDP.unpack_from(raw, at)
    if length < 8:
        raise MalformedPacket(f"UDP length {length}")
    return Udp(source, destination, length, check), raw[at + 8 : min(end, at + length)]


def decode_udp_quote(raw: bytes, at: int, end: int) -> tuple[Udp | None, bytes]:
    """The same of a packet quoted by an ICMP error; the length field is kept as it is, not believed."""
    if end - at < 8:
        return None, raw[at:end]
    return Udp(*_UDP.unpack_from(raw, at)), raw[at + 8 : end]


def encode_tcp(header: Tcp, payload: bytes) -> bytes:
    """Header with checksum 0, then ``payload``; options are padded with zeros to 32 bits. Raises MalformedPacket."""
    options = header.options + bytes(-len(header.options) % 4)
    if len(options) > 40:
        raise MalformedPacket(f"{len(options)} bytes of TCP options, at most 40 fit")
    offset = (20 + len(options)) << 2
    fixed = _TCP.pack(header.source_port, header.destination_port, header.sequence, header.acknowledgement, offset,
                      header.flags, header.window, 0, header.urgent)
    return fixed + options + payload


def encode_udp(header: Udp, payload: bytes, length: int) -> bytes:
    """Header with that ``length`` field and checksum 0, then ``payload``."""
    return _UDP.pack(header.source_port, header.destination_port, length, 0) + payload
