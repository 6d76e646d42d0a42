"""Ethernet frames around packets."""

from __future__ import annotations

import pytest

from probe.lab.boxes import fill
from probe.lab.boxes.frames import Ends, mac_bytes, unwrap, wrap
from probe.model.packet import Icmp, Packet, Udp

ENDS = Ends(mac_bytes("02:00:00:00:01:01"), mac_bytes("02:00:00:00:01:02"))
V4 = Packet(4, "198.18.0.1", "203.0.113.1", 64, 17, 0, 7, header=Udp(1, 2, 0), payload=b"x")
V6 = Packet(6, "2001:db8::1", "2001:db8::2", 64, 58, 0, header=Icmp(128, 0), payload=b"x")


@pytest.mark.parametrize("packet", [V4, V6])
@pytest.mark.parametrize("upstream", [True, False])
def test_a_packet_comes_back_out_of_its_frame(packet: Packet, upstream: bool) -> None:
    frame = wrap(packet, ENDS, upstream)
    destination, source = (ENDS.server, ENDS.client) if upstream else (ENDS.client, ENDS.server)
    assert frame[:12] == destination + source
    found = unwrap(frame)
    assert found is not None
    assert (found.source, found.destination, found.payload) == (packet.source, packet.destination, b"x")


@pytest.mark.parametrize(
    "frame",
    [
        bytes(12) + b"\x08\x06" + bytes(28),  # ARP
        bytes(12) + b"\x08\x00" + b"\x45",  # cut
        wrap(Packet(6, "fe80::1", "fe80::2", 255, 58, 0, header=Icmp(135, 0), payload=bytes(20)), ENDS, True),
        b"",
    ],
)
def test_what_belongs_to_the_link_is_no_packet(frame: bytes) -> None:
    assert unwrap(frame) is None


def test_header_fields_follow_their_rule() -> None:
    from random import Random

    assert fill(77, 5, Random(1), 1, 9) == 77
    assert fill("mirror", 5, Random(1), 1, 9) == 5
    drawn = {fill("random", 5, Random(i), 1, 9) for i in range(100)}
    assert drawn == set(range(1, 10))
