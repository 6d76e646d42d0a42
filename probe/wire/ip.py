"""The entrance to packets: IPv4 (RFC 791) and IPv6 (RFC 8200) with TCP, UDP, ICMP and ICMPv6 inside."""

from __future__ import annotations

import struct
from struct import Struct

from probe.model.errors import MalformedPacket
from probe.model.packet import Icmp, Packet, Protocol, Tcp, Udp
from probe.wire import extensions, icmp, transport
from probe.wire.address import address_bytes, address_text
from probe.wire.checksum import checksum, pseudo_header

__all__ = ["address_bytes", "address_text", "checksum", "decode", "encode"]

_V4 = Struct(">BBHHHBBH4s4s")
_V6 = Struct(">IHBB16s16s")
_ICMP_OF = {4: int(Protocol.ICMP), 6: int(Protocol.ICMPV6)}
_TCP, _UDP = int(Protocol.TCP), int(Protocol.UDP)  # members of an IntEnum compare several times slower

_Transport = Tcp | Udp | Icmp | None


def decode(data: bytes | memoryview) -> Packet:
    """Decode one IP packet. Raises MalformedPacket.

    Bytes beyond the total length (Ethernet padding) are cut off; fewer bytes than it claims (a cut capture) are
    accepted as long as the headers are whole. The payload of an ICMP error with a quote is its extension structure
    (RFC 4884), most often empty. The packet that an ICMP error quotes is decoded leniently: header fields beyond its
    end are 0, and an ICMP error inside it is not decoded further. Fragment offsets are in bytes.
    """
    raw = data if type(data) is bytes else bytes(data)
    return _decode(raw, 0, len(raw), quoted=False)


def _decode(raw: bytes, start: int, end: int, quoted: bool) -> Packet:
    if start >= end:
        raise MalformedPacket("no bytes")
    version = raw[start] >> 4
    if version == 4:
        return _decode4(raw, start, end, quoted)
    if version == 6:
        return _decode6(raw, start, end, quoted)
    raise MalformedPacket(f"IP version {version}")


def _decode4(raw: bytes, start: int, end: int, quoted: bool) -> Packet:
    if end - start < 20:
        raise MalformedPacket(f"IPv4 header cut after {end - start} bytes")
    first, tos, length, ident, fragment, ttl, protocol, _, source, destination = _V4.unpack_from(raw, start)
    at = start + (first & 15) * 4
    if not start + 20 <= at <= end:
        raise MalformedPacket(f"IPv4 header length {first & 15} in {end - start} bytes")
    if start + length >= at:
        end = min(end, start + length)
    elif not quoted:
        raise MalformedPacket(f"IPv4 total length {length}")
    offset = (fragment & 0x1FFF) * 8
    more = bool(fragment & 0x2000)
    header, payload = _decode_body(raw, at, end, (4, protocol, offset, more, quoted))
    return Packet(4, address_text(source), address_text(destination), ttl, protocol, length, ident, tos,
                  bool(fragment & 0x4000), more, offset, header, payload)


def _decode6(raw: bytes, start: int, end: int, quoted: bool) -> Packet:
    if end - start < 40:
        raise MalformedPacket(f"IPv6 header cut after {end - start} bytes")
    first, length, protocol, ttl, source, destination = _V6.unpack_from(raw, start)
    end = min(end, start + 40 + length)
    at = start + 40
    ident: int | None = None
    offset, more = 0, False
    if protocol in extensions.KNOWN:
        chain = extensions.walk(raw, protocol, at, end)
        if not chain.whole and not quoted:
            raise MalformedPacket(f"IPv6 extension header {chain.protocol} cut after {end - chain.at} bytes")
        protocol, at, ident, offset, more = chain.protocol, chain.at, chain.ident, chain.offset, chain.more
    header, payload = _decode_body(raw, at, end, (6, protocol, offset, more, quoted))
    return Packet(6, address_text(source), address_text(destination), ttl, protocol, length + 40, ident,
                  first >> 20 & 0xFF, False, more, offset, header, payload)


def _decode_body(raw: bytes, at: int, end: int, what: tuple[int, int, int, bool, bool]) -> tuple[_Transport, bytes]:
    version, protocol, offset, more, quoted = what
    if offset:
        return None, raw[at:end]
    try:
        if protocol == _TCP:
            return (transport.decode_tcp_quote if quoted else transport.decode_tcp)(raw, at, end)
        if protocol == _UDP:
            return (transport.decode_udp_quote if quoted else transport.decode_udp)(raw, at, end)
        if protocol == _ICMP_OF[version]:
            return _decode_icmp(raw, at, end, version, quoted)
    except MalformedPacket:
        if not more:  # the first fragment of many may be too small for its header
            raise
    return None, raw[at:end]


def _decode_icmp(raw: bytes, at: int, end: int, version: int, quoted: bool) -> tuple[Icmp | None, bytes]:
    if end - at < 8:
        if quoted:
            return None, raw[at:end]
        raise MalformedPacket(f"ICMP header cut after {end - at} bytes")
    kind, code, check, rest = icmp.HEADER.unpack_from(raw, at)
    # An error about an error does not exist (RFC 1122, 3.2.2), and nesting must not cost the stack.
    if not quoted and icmp.is_error(version, kind):
        cut, extensions = icmp.split_quote(raw, at, end, version)
        try:
            return Icmp(kind, code, check, rest, _decode(raw, at + 8, cut, quoted=True)), raw[extensions:end]
        except MalformedPacket:
            pass  # an error whose quote is unreadable is still an error: its bytes stay in the payload
    return Icmp(kind, code, check, rest), raw[at + 8 : end]


def encode(packet: Packet) -> bytes:
    """Bytes of a packet, with right lengths and checksums whatever its fields say. Raises MalformedPacket.

    Exceptions: in a fragment, whose data are not all there, the transport's checksum and length are taken from their
    fields; and in a quoted packet the length and checksum fields are kept as they are unless they are 0. Not made:
    IPv4 options, and IPv6 extension headers other than the fragment header (sent if ``ident`` is not None).
    """
    try:
        return _encode(packet, quoted=False)
    except struct.error as error:
        raise MalformedPacket(f"a field does not fit: {error}") from error


def _encode(packet: Packet, quoted: bool) -> bytes:
    source, destination = address_bytes(packet.source), address_bytes(packet.destination)
    if (packet.version, len(source), len(destination)) not in ((4, 4, 4), (6, 16, 16)):
        raise MalformedPacket(f"IP version {packet.version} from {packet.source} to {packet.destination}")
    if packet.fragment_offset % 8:
        raise MalformedPacket(f"fragment offset {packet.fragment_offset} is not a multiple of 8")
    body = _encode_body(packet, source, destination, quoted)
    if packet.version == 4:
        length = (quoted and packet.length) or 20 + len(body)
        fragment = packet.fragment_offset >> 3 | packet.dont_fragment << 14 | packet.more_fragments << 13
        header = bytearray(_V4.pack(0x45, packet.tos, length, packet.ident or 0, fragment, packet.ttl,
                                    packet.protocol, 0, source, destination))
        header[10:12] = checksum(header).to_bytes(2, "big")
        return bytes(header) + body
    protocol = packet.protocol
    if packet.ident is not None:
        body = extensions.FRAGMENT_HEADER.pack(
            protocol, 0, packet.fragment_offset | packet.more_fragments, packet.ident) + body
        protocol = extensions.FRAGMENT
    length = packet.length - 40 if quoted and packet.length else len(body)
    return _V6.pack(6 << 28 | packet.tos << 20, length, protocol, packet.ttl, source, destination) + body


def _encode_body(packet: Packet, source: bytes, destination: bytes, quoted: bool) -> bytes:
    header, payload = packet.header, packet.payload
    if header is None:
        return payload
    fixed = 20 if packet.version == 4 else 40 if packet.ident is None else 48
    place = 0
    if isinstance(header, Tcp) and packet.protocol == _TCP:
        body, place = transport.encode_tcp(header, payload), 16
    elif isinstance(header, Udp) and packet.protocol == _UDP:
        length = ((quoted or packet.more_fragments) and header.length) or 8 + len(payload)
        body, place = transport.encode_udp(header, payload, length), 6
    elif isinstance(header, Icmp) and packet.protocol == _ICMP_OF[packet.version]:
        body, place = _encode_icmp(header, payload, packet.version), 2
    else:
        raise MalformedPacket(f"protocol {packet.protocol} with a {type(header).__name__} header")
    cut = packet.more_fragments or packet.fragment_offset or (quoted and packet.length not in (0, fixed + len(body)))
    if cut or (quoted and header.checksum):
        value = header.checksum
    else:
        pseudo = packet.protocol != Protocol.ICMP
        value = checksum(body, pseudo_header(source, destination, packet.protocol, len(body)) if pseudo else 0)
        if not value and packet.protocol == _UDP:
            value = 0xFFFF  # 0 means "no checksum" (RFC 768)
    return body[:place] + value.to_bytes(2, "big") + body[place + 2 :]


def _encode_icmp(header: Icmp, payload: bytes, version: int) -> bytes:
    fixed = icmp.HEADER.pack(header.type, header.code, 0, header.rest)
    if header.quoted is None:
        return fixed + payload
    quote = _encode(header.quoted, quoted=True)
    area = icmp.quote_area(version, header.type, header.rest) or (icmp.LEGACY_AREA if payload else 0)
    if area:
        quote = quote[:area].ljust(area, b"\0")
    return fixed + quote + payload
