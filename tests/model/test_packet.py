"""Decoded packets: numbers of the protocols and the two halves of an echo."""

from __future__ import annotations

import msgspec
import pytest

from probe.model.packet import Flags, Icmp, Packet, Protocol, Tcp, Udp


def test_the_numbers_are_ianas() -> None:
    assert {one.name: int(one) for one in Protocol} == {"ICMP": 1, "TCP": 6, "UDP": 17, "ICMPV6": 58}
    assert [one.name for one in sorted(Flags)] == ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
    assert int(Flags.SYN | Flags.ACK) == 0x12
    assert int(Flags(0xFF)) == 0xFF


def test_an_echo_has_identifier_and_sequence() -> None:
    echo = Icmp(8, 0, rest=0xF1230045)
    assert (echo.identifier, echo.sequence) == (0xF123, 0x45)


def test_packets_are_values() -> None:
    one = Packet(4, "0.0.0.0", "203.0.113.1", 64, 6, 40, 1, header=Tcp(1, 2, 3, 4, 2, 5))
    assert one == msgspec.structs.replace(one)
    assert one != msgspec.structs.replace(one, header=Udp(1, 2, 8))
    with pytest.raises(AttributeError):
        one.ttl = 3  # type: ignore[misc]
