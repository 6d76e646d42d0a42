from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.packet import Raw

from probe.model.errors import MalformedPacket
from probe.model.packet import Icmp, Packet, Tcp, Udp
from probe.wire.ip import decode, encode

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
OPTIONS = st.sampled_from([b"", bytes.fromhex("020405b4"), bytes.fromhex("020405b40402080a000000010000000201030307")])
TCP_HEADER = st.builds(Tcp, U16, U16, U32, U32, U8, U16, urgent=U16, options=OPTIONS)
UDP_HEADER = st.builds(Udp, U16, U16, st.just(0))
ECHO = st.builds(Icmp, st.just(8), st.just(0), rest=U32)
ECHO6 = st.builds(Icmp, st.just(128), st.just(0), rest=U32)
V4, V6 = st.ip_addresses(v=4).map(str), st.ip_addresses(network="2000::/3").map(str)
PAYLOAD = st.binary(max_size=60)


def _packets4(header: Any, protocol: int) -> Any:
    return st.builds(Packet, st.just(4), V4, V4, U8, st.just(protocol), st.just(0), U16, U8, st.booleans(),
                     header=header, payload=PAYLOAD)


def _packets6(header: Any, protocol: int) -> Any:
    return st.builds(Packet, st.just(6), V6, V6, U8, st.just(protocol), st.just(0), st.none() | U32, U8,
                     header=header, payload=PAYLOAD)


PACKETS = st.one_of(_packets4(TCP_HEADER, 6), _packets4(UDP_HEADER, 17), _packets4(ECHO, 1), _packets4(st.none(), 47),
                    _packets6(TCP_HEADER, 6), _packets6(UDP_HEADER, 17), _packets6(ECHO6, 58))


def test_syn_byte_for_byte() -> None:
    raw = bytes.fromhex("4500002c00010000400666c90a0000010a000002")
    raw += bytes.fromhex("0014005000000000000000006002200063c00000020405b4")
    packet = Packet(4, "10.0.0.1", "10.0.0.2", 64, 6, 44, 1,
                    header=Tcp(20, 80, 0, 0, 2, 8192, 0x63C0, 0, bytes.fromhex("020405b4")))
    assert decode(raw) == packet
    assert encode(packet) == raw
    assert bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=20, dport=80, options=[("MSS", 1460)])) == raw


@given(PACKETS)
def test_scapy_finds_every_length_and_checksum_right(packet: Packet) -> None:
    raw = encode(packet)
    seen = (IP if packet.version == 4 else IPv6)(raw)
    assert bytes(seen) == raw
    again = seen.copy()
    for layer in (again, *filter(None, map(again.getlayer, (TCP, UDP, ICMP, ICMPv6EchoRequest)))):
        for field in ("chksum", "len", "plen", "cksum"):
            if field in layer.fields:
                layer.delfieldval(field)
    assert bytes(again) == raw


@given(PACKETS)
def test_decode_undoes_encode(packet: Packet) -> None:
    raw = encode(packet)
    seen = decode(raw)
    assert encode(seen) == raw
    assert seen.length == len(raw)
    assert (seen.source, seen.destination, seen.ttl, seen.payload) == (packet.source, packet.destination, packet.ttl,
                                                                       packet.payload)
    assert decode(memoryview(raw + b"padding")) == seen


@given(V4, V4, U16, U16, st.tuples(U8, U16), PAYLOAD)
def test_reads_what_scapy_writes(
    source: str, destination: str, sport: int, dport: int, odd: tuple[int, int], data: bytes
) -> None:
    ttl, ident = odd
    layers = IP(src=source, dst=destination, ttl=ttl, id=ident) / UDP(sport=sport, dport=dport) / Raw(data)
    packet = decode(bytes(layers))
    assert isinstance(packet.header, Udp)
    assert (packet.source, packet.destination, packet.ttl, packet.ident) == (source, destination, ttl, ident)
    assert (packet.header.source_port, packet.header.destination_port, packet.payload) == (sport, dport, data)
    assert packet.header.length == 8 + len(data)


def test_every_sample_survives(samples: tuple[bytes, ...]) -> None:
    changed = 0
    for raw in samples:
        packet = decode(raw)
        again = encode(packet)
        assert packet.length == len(raw)
        assert decode(again).payload == packet.payload
        changed += again != raw
    assert changed == 6  # IP options, two of extension headers, two cut TCP quotes, and a checksum switched off


def test_udp_without_checksum_is_told_and_zero_is_written_as_ones() -> None:
    sent = Packet(4, "0.0.0.0", "0.0.0.0", 1, 17, 0, header=Udp(0, 0xFFFF - 17 - 10 - 10, 0), payload=b"\0\0")
    assert encode(sent)[26:28] == b"\xff\xff"


@pytest.mark.parametrize("size", [8, 12, 20, 30])
def test_quote_is_read_as_far_as_it_goes(size: int) -> None:
    inner = bytes(IP(src="192.0.2.1", dst="198.51.100.7", ttl=1, id=5, len=1400)
                  / TCP(sport=4000, dport=80, seq=77, ack=88, flags="PA") / Raw(b"0123456789"))
    error = decode(bytes(IP(src="203.0.113.1", dst="192.0.2.1") / ICMP(type=11) / Raw(inner[: 20 + size])))
    assert isinstance(error.header, Icmp)
    quoted = error.header.quoted
    assert quoted is not None
    assert isinstance(quoted.header, Tcp)
    assert (quoted.length, quoted.ttl, quoted.ident, quoted.destination) == (1400, 1, 5, "198.51.100.7")
    assert (quoted.header.source_port, quoted.header.sequence) == (4000, 77)
    assert quoted.header.acknowledgement == (88 if size >= 12 else 0)
    assert quoted.payload == b"0123456789"[: max(0, size - 20)]
    assert error.payload == b""
    assert decode(encode(error)).header.quoted == quoted  # type: ignore[union-attr]


def test_extensions_are_no_payload_of_the_quote(samples: tuple[bytes, ...]) -> None:
    found = [p for p in map(decode, samples) if isinstance(p.header, Icmp) and p.header.quoted and p.payload]
    assert len(found) == 2  # with the length field, and without
    for packet in found:
        assert isinstance(packet.header, Icmp)
        assert packet.header.quoted is not None
        assert packet.payload.startswith(b"\x20\x00")
        assert packet.payload.endswith(b"\x12\x34\x56\x78")
        assert packet.header.quoted.payload == b"x" * 88


def test_icmpv6_error_and_extension_headers() -> None:
    inner = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=1) / IPv6ExtHdrDestOpt() / UDP(sport=7) / Raw(b"q")
    error = decode(bytes(IPv6(src="2001:db8::9", dst="2001:db8::1") / ICMPv6TimeExceeded() / Raw(bytes(inner))))
    assert isinstance(error.header, Icmp)
    assert error.header.quoted is not None
    assert (error.header.quoted.protocol, error.header.quoted.payload) == (17, b"q")
    later = decode(bytes(IPv6() / IPv6ExtHdrFragment(offset=3, m=1, id=9, nh=17) / Raw(b"x" * 8)))
    assert (later.fragment_offset, later.more_fragments, later.ident, later.header) == (24, True, 9, None)
    assert later.protocol == 17


def test_an_unreadable_quote_stays_payload() -> None:
    packet = decode(bytes(IP() / ICMP(type=3) / Raw(b"\x45garbage")))
    assert packet.header == Icmp(3, 0, packet.header.checksum)  # type: ignore[union-attr]
    assert packet.payload == b"\x45garbage"


def test_an_error_about_an_error_is_not_followed() -> None:
    inner = bytes(IP() / ICMP(type=3) / IP() / UDP())
    packet = decode(bytes(IP() / ICMP(type=11) / Raw(inner)))
    assert isinstance(packet.header, Icmp)
    quoted = packet.header.quoted
    assert quoted is not None
    assert isinstance(quoted.header, Icmp)
    assert quoted.header.quoted is None
    assert quoted.payload == inner[28:]


def test_fragments() -> None:
    first = decode(bytes(IP(flags="MF", proto=6) / Raw(b"tiny")))
    assert (first.header, first.payload, first.more_fragments) == (None, b"tiny", True)
    later = decode(bytes(IP(frag=3, proto=6) / Raw(b"x" * 40)))
    assert (later.header, later.payload, later.fragment_offset) == (None, b"x" * 40, 24)
    assert encode(later) == bytes(IP(frag=3, proto=6) / Raw(b"x" * 40))


def test_a_cut_capture_is_read_if_its_headers_are_whole() -> None:
    raw = bytes(IP() / TCP() / Raw(b"x" * 100))
    cut = decode(raw[:50])
    assert (cut.length, cut.payload) == (140, b"x" * 10)
    for size in (0, 10, 19, 39):
        with pytest.raises(MalformedPacket):
            decode(raw[:size])


@pytest.mark.parametrize("change", [(0, 0x35), (0, 0x44), (0, 0x4F), (3, 19), (32, 0x40), (32, 0xF0)])
def test_headers_that_contradict_themselves(change: tuple[int, int]) -> None:
    raw = bytearray(bytes(IP() / TCP()))
    raw[change[0]] = change[1]
    with pytest.raises(MalformedPacket):
        decode(bytes(raw))


@pytest.mark.parametrize("packet", [
    Packet(4, "::1", "192.0.2.1", 64, 17, 0), Packet(5, "192.0.2.1", "192.0.2.1", 64, 17, 0),
    Packet(4, "192.0.2.1", "192.0.2.1", 256, 17, 0),
    Packet(4, "192.0.2.1", "192.0.2.1", 64, 17, 0, payload=bytes(65536)),
    Packet(4, "192.0.2.1", "192.0.2.1", 64, 17, 0, fragment_offset=5),
    Packet(4, "192.0.2.1", "192.0.2.1", 64, 17, 0, header=Tcp(1, 2, 3, 4, 5, 6)),
    Packet(4, "192.0.2.1", "192.0.2.1", 64, 6, 0, header=Tcp(70000, 2, 3, 4, 5, 6)),
    Packet(6, "::1", "::2", 64, 1, 0, header=Icmp(8, 0)),
])
def test_values_that_no_packet_can_hold(packet: Packet) -> None:
    with pytest.raises(MalformedPacket):
        encode(packet)
