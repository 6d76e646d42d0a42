"""Flows as boxes know them."""

from __future__ import annotations

import pytest

from probe.lab.boxes.flows import among, answering, flow_of, goes, resets
from probe.lab.kinds.base import Direction, Ports
from probe.model.packet import Flags, Packet, Tcp, Udp

HEADER = Tcp(5000, 443, 1000, 2000, Flags.ACK | Flags.PSH, 500)
PACKET = Packet(4, "198.18.10.100", "203.0.113.10", 7, 6, 0, 9, header=HEADER, payload=b"hello")


def test_a_flow_is_one_both_ways() -> None:
    back = Tcp(443, 5000, 2000, 1005, Flags.ACK, 500)
    answer = answering(PACKET, back, b"", 64, 3)
    assert (answer.source, answer.destination, answer.ttl, answer.ident) == ("203.0.113.10", "198.18.10.100", 64, 3)
    up, down = flow_of(PACKET, HEADER, True), flow_of(answer, back, False)
    assert up == down == ("198.18.10.100", 5000, "203.0.113.10", 443)


@pytest.mark.parametrize(
    ("port", "ports", "found"),
    [(5060, (), True), (5060, (5060,), True), (5061, (5060,), False), (150, ("9-200",), True), (8, ("9-200",), False)],
)
def test_ports_are_numbers_and_ranges(port: int, ports: Ports, found: bool) -> None:
    assert among(port, ports) is found


@pytest.mark.parametrize(
    ("direction", "ways"), [("both", (True, True)), ("up", (True, False)), ("down", (False, True))]
)
def test_a_direction_is_one_way_or_both(direction: Direction, ways: tuple[bool, bool]) -> None:
    assert (goes(True, direction), goes(False, direction)) == ways


def test_a_firewall_resets_both_ends_in_window() -> None:
    back, onwards = resets(PACKET, HEADER)
    assert isinstance(back.header, Tcp)
    assert isinstance(onwards.header, Tcp)
    assert (back.source, back.destination) == ("203.0.113.10", "198.18.10.100")
    assert (back.header.sequence, back.header.acknowledgement, back.header.source_port) == (2000, 1005, 443)
    assert (onwards.source, onwards.header.sequence, onwards.header.destination_port) == ("198.18.10.100", 1000, 443)
    assert back.header.flags & onwards.header.flags == Flags.RST | Flags.ACK


def test_ipv6_has_no_identifier() -> None:
    packet = Packet(6, "2001:db8::1", "2001:db8::2", 7, 17, 0, None, header=Udp(1, 2, 0))
    assert answering(packet, Udp(2, 1, 0), b"", 64, 5).ident is None
