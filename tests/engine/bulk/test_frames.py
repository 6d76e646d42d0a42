"""Probes: whole packets with right checksums, whatever TTL and number are written into them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.bulk.frames import SHAPES, Kind, numbered, template
from probe.model.packet import Flags, Icmp, Tcp
from probe.wire import ip
from probe.wire.address import address_bytes
from probe.wire.checksum import checksum, pseudo_header

ENDS = {4: ("192.0.2.1", "203.0.113.9"), 6: ("2001:db8::1", "2001:db8:a0::9")}
CASES = pytest.mark.parametrize(("version", "kind"), list(SHAPES))


def probe(version: int, kind: Kind, ttl: int, number: int, own: int = 0xF123, port: int = 443) -> bytes:
    source, destination = ENDS[version]
    packet = bytearray(template(kind, source, destination, own, port))
    shape = SHAPES[version, kind]
    assert len(packet) == shape.size
    packet[shape.ttl] = ttl
    struct.pack_into(">I", packet, shape.number, numbered(number))
    return bytes(packet)


@CASES
@given(ttl=st.integers(1, 255), number=st.integers(0, 0xFFFF))
def test_a_probe_says_what_was_asked_for_and_its_checksum_is_right(
    version: int, kind: Kind, ttl: int, number: int
) -> None:
    raw = probe(version, kind, ttl, number)
    packet = ip.decode(raw)
    source, destination = ENDS[version]
    assert (packet.version, packet.source, packet.destination, packet.ttl) == (version, source, destination, ttl)
    body = raw[20 if version == 4 else 40 :]
    start = pseudo_header(address_bytes(source), address_bytes(destination), packet.protocol, len(body))
    assert checksum(body, start if packet.protocol != 1 else 0) == 0
    header = packet.header
    if kind == "tcp":
        assert isinstance(header, Tcp)
        assert (header.source_port, header.destination_port, header.flags) == (0xF123, 443, Flags.SYN)
        assert header.sequence == numbered(number) == number << 16 | 0xFFFF - number
    else:
        assert isinstance(header, Icmp)
        assert (header.identifier, header.sequence) == (0xF123, number)
        assert packet.length == SHAPES[version, kind].size


@CASES
def test_all_probes_to_one_far_end_are_hashed_alike(version: int, kind: Kind) -> None:
    def hashed(raw: bytes) -> bytes:
        """What routers may choose a path by: the first words behind the IP header, an echo's checksum among them."""
        at = 20 if version == 4 else 40
        return raw[at : at + 4]

    assert len({hashed(probe(version, kind, ttl, ttl * 77)) for ttl in range(1, 65)}) == 1
