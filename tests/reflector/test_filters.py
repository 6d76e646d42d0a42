"""The kernel's filter lets through what opens a conversation, and nothing else; run here by a small interpreter."""

from __future__ import annotations

import struct

import pytest

from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp
from probe.reflector import filters
from probe.wire import ip

PORTS = (53, 443, 47474)


def passes(code: bytes, packet: bytes) -> bool:
    """What the kernel would do (linux/filter.h), of the instructions that are used."""
    program = list(struct.iter_unpack("HBBI", code))
    a = x = at = 0
    while True:
        op, yes, no, k = program[at]
        at += 1
        if op == 0x06:
            return bool(k)
        if op == 0x15:
            at += yes if a == k else no
        elif op == 0x54:
            a &= k
        else:
            start = k + (x if op in (0x48, 0x50) else 0)
            size = 2 if op in (0x28, 0x48) else 1
            if start + size > len(packet):
                return False
            value = int.from_bytes(packet[start : start + size], "big")
            if op == 0xB1:
                x = 4 * (value & 15)
            else:
                a = value


def packet(header: Tcp | Udp | Icmp, version: int = 4) -> bytes:
    protocol = {Tcp: 6, Udp: 17, Icmp: 1 if version == 4 else 58}[type(header)]
    source, destination = ("192.0.2.1", "203.0.113.1") if version == 4 else ("2001:db8::1", "2001:db8::2")
    length = {Tcp: 20, Udp: 8, Icmp: 8}[type(header)] + (20 if version == 4 else 40)
    return ip.encode(Packet(version=version, source=source, destination=destination, ttl=64, protocol=protocol,
                            length=length, ident=1 if version == 4 else None, header=header))  # fmt: skip


def tcp(flags: int, port: int = 80) -> Tcp:
    return Tcp(4000, port, 7, 0, flags, 512)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (tcp(Flags.SYN), True), (tcp(Flags.SYN | Flags.ECE | Flags.CWR), True), (tcp(Flags.SYN | Flags.ACK), False),
        (tcp(Flags.ACK), False), (tcp(Flags.RST), False), (tcp(Flags.ACK | Flags.PSH), False),
        (tcp(Flags.SYN, 9), True),
        (Udp(4000, 53, 8), True), (Udp(4000, 47474, 8), True), (Udp(53, 4000, 8), False), (Udp(4000, 54, 8), False),
    ],
)  # fmt: skip
def test_openings(header: Tcp | Udp, wanted: bool, version: int) -> None:
    assert passes(filters.openings(PORTS), packet(header, version)) is wanted


@pytest.mark.parametrize(("version", "kind", "wanted"), [(4, 8, True), (4, 0, False), (4, 3, False), (6, 128, True),
                                                         (6, 129, False), (6, 135, False)])  # fmt: skip
def test_pings(version: int, kind: int, wanted: bool) -> None:
    assert passes(filters.openings(PORTS), packet(Icmp(kind, 0), version)) is wanted


def test_later_fragments_do_not_pass() -> None:
    first = packet(Udp(4000, 53, 8))
    assert passes(filters.openings(PORTS), first)
    assert not passes(filters.openings(PORTS), first[:6] + b"\0\x10" + first[8:])


def test_ip_options_are_stepped_over() -> None:
    plain = packet(Udp(4000, 53, 8))
    longer = b"\x46" + plain[1:20] + b"\1\1\1\1" + plain[20:]
    assert passes(filters.openings(PORTS), longer)


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"\x45" * 3, b"\x60" + b"\x11" * 20])
def test_noise_does_not_pass(data: bytes) -> None:
    assert not passes(filters.openings(PORTS), data)


def test_many_ports_fit_and_none_do() -> None:
    code = filters.openings(range(1000, 2000))
    assert passes(code, packet(Udp(1, 1199, 8)))
    assert not passes(code, packet(Udp(1, 1200, 8)))
    assert not passes(filters.openings(()), packet(Udp(1, 53, 8)))
    assert passes(filters.openings(()), packet(tcp(Flags.SYN)))


def test_nothing_is_nothing() -> None:
    assert not passes(filters.NOTHING, packet(tcp(Flags.SYN)))
