"""The kernel's filter: its machine code in an interpreter against the rule, and in the kernel against real packets."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.engine import bpf
from probe.engine.observe import local_port
from probe.engine.ports import BLOCK, MASK
from probe.lab.lab import Lab
from probe.model.packet import Icmp, Packet, Tcp, Udp
from probe.wire import ip

BASE = 0xF400
CODE = bpf.assemble(BASE, MASK)


def run(code: bytes, packet: bytes) -> int:
    """Classic BPF (McCanne and Jacobson 1993), the instructions that the filter uses; a load beyond the end drops."""
    a = x = at = 0
    while True:
        op, true, false, k = struct.unpack_from("HBBI", code, 8 * at)
        at += 1
        if op == 0x06:
            return int(k)
        if op in (0x30, 0x28, 0x48, 0x50):
            start = k + (x if op in (0x48, 0x50) else 0)
            size = 2 if op in (0x28, 0x48) else 1
            if start + size > len(packet):
                return 0
            a = int.from_bytes(packet[start : start + size], "big")
        elif op == 0xB1:
            if k >= len(packet):
                return 0
            x = 4 * (packet[k] & 15)
        elif op == 0x74:
            a >>= k
        elif op == 0x54:
            a &= k
        elif op == 0x15:
            at += true if a == k else false
        else:
            raise AssertionError(f"an instruction that the kernel may not know: {op:#x}")


def mine(packet: Packet) -> bool:
    """The rule: a flow of the block, seen as going out or as coming in."""
    keys = (local_port(packet, True), local_port(packet, False))
    return any(key is not None and key[1] & MASK == BASE for key in keys)


PORT = st.integers(BASE - 2, BASE + BLOCK + 1) | st.integers(0, 0xFFFF)
REST = st.builds(lambda ident, sequence: ident << 16 | sequence, PORT, st.integers(0, 0xFFFF))
PAYLOAD = st.binary(max_size=40)
ADDRESSES = {4: ("198.51.100.7", "192.0.2.9"), 6: ("2001:db8::7", "2001:db8::9")}
ICMP = {4: (1, 8, 0, (3, 11)), 6: (58, 128, 129, (1, 2, 3))}


def packets(version: int, quotable: bool = False) -> Any:
    """Packets without IP options; ``quotable``: such as routers send errors about."""
    source, destination = ADDRESSES[version]
    protocol, request, reply, errors = ICMP[version]
    tcp = st.builds(Tcp, PORT, PORT, st.integers(0, 0xFFFFFFFF), st.just(0), st.integers(0, 255), st.just(1024))
    udp = st.builds(Udp, PORT, PORT, st.just(0))
    echo = st.builds(Icmp, st.just(request) if quotable else st.sampled_from((request, reply)), st.just(0), rest=REST)
    headers: list[tuple[int, Any]] = [(6, tcp), (17, udp), (protocol, echo)]
    if not quotable:
        error = st.builds(
            Icmp, st.sampled_from(errors), st.integers(0, 5), rest=st.just(0), quoted=packets(version, quotable=True)
        )
        headers += [(protocol, error), (47, st.none())]
    ident = st.integers(0, 0xFFFF) if version == 4 else st.none()
    return st.one_of(
        *(
            st.builds(Packet, st.just(version), st.just(source), st.just(destination), st.integers(1, 255),
                      st.just(number), st.just(0), ident, header=header,
                      payload=st.just(b"") if number == protocol and not quotable else PAYLOAD)
            for number, header in headers
        )
    )  # fmt: skip


@given(packets(4) | packets(6))
@example(ip.decode(bytes.fromhex("4500001c000000004011000001020304050607081234f40100080000")))
def test_the_filter_lets_pass_what_belongs_to_the_block(packet: Packet) -> None:
    data = ip.encode(packet)
    assert bool(run(CODE, data)) is mine(ip.decode(data))


@given(st.binary(max_size=80))
def test_the_filter_is_at_peace_with_any_bytes(data: bytes) -> None:
    assert run(CODE, data) in (0, 0x40000)


def quoted(*, cut: int, version: int = 4) -> bytes:
    """An ICMP error about one of our datagrams, quoting its header and ``cut`` bytes behind it."""
    source, destination = ADDRESSES[version]
    inner = ip.encode(Packet(version, source, destination, 1, 17, 0, header=Udp(BASE + 5, 53, 0), payload=b"x" * 30))
    size = 20 if version == 4 else 40
    protocol, kind = (1, 11) if version == 4 else (58, 3)
    packet = Packet(version, destination, source, 60, protocol, 0, header=Icmp(kind, 0))
    return ip.encode(packet)[: size + 8] + inner[: size + cut]


@pytest.mark.parametrize("version", [4, 6])
def test_eight_quoted_bytes_are_enough(version: int) -> None:
    assert run(CODE, quoted(cut=8, version=version))
    assert not run(CODE, quoted(cut=1, version=version))


def test_later_fragments_and_other_protocols_do_not_pass() -> None:
    datagram = bytearray(ip.encode(Packet(4, *ADDRESSES[4], 64, 17, 0, header=Udp(BASE, 53, 0), payload=b"12345678")))
    assert run(CODE, bytes(datagram))
    fragment = datagram.copy()
    fragment[7] = 1  # offset 8
    assert not run(CODE, bytes(fragment))
    first = datagram.copy()
    first[6] = 0x20  # more fragments follow: it has the ports
    assert run(CODE, bytes(first))
    other = datagram.copy()
    other[9] = 132  # SCTP has ports, too
    assert not run(CODE, bytes(other))


def test_options_do_not_hide_ports() -> None:
    plain = ip.encode(Packet(4, *ADDRESSES[4], 64, 17, 0, header=Udp(53, BASE + 9, 0), payload=b"12345678"))
    assert run(CODE, bytes([0x46]) + plain[1:20] + bytes(4) + plain[20:])


@pytest.mark.lab
@pytest.mark.parametrize(
    ("family", "server"), [(socket.AF_INET, "203.0.113.10"), (socket.AF_INET6, "2001:db8:a0::10")]
)
def test_the_kernel_agrees(chain: Lab, family: int, server: str) -> None:
    with chain.enter("chain"), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as ear:
        bpf.attach(ear, CODE)
        ear.bind(("eth0", 3))
        ear.settimeout(1)
        for port in (BASE - 1, BASE + 7):  # not ours, ours
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.bind(("", port))
                sock.sendto(b"elsewhere", (server, 9))  # a closed port: an ICMP error quotes it
                level, kind = (0, 2) if family == socket.AF_INET else (41, 16)
                sock.setsockopt(level, kind, 2)
                sock.sendto(b"expires", (server, 9))
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.bind(("", BASE + 8))
            sock.connect((server, 80))
        seen: list[Packet] = []
        while len(seen) < 8:
            data, _ = ear.recvfrom(4096)
            seen.append(ip.decode(data))
    assert all(mine(packet) for packet in seen)
    kinds = {type(packet.header) for packet in seen}
    assert kinds == {Udp, Icmp, Tcp}
    quotes = [packet.header.quoted for packet in seen if isinstance(packet.header, Icmp)]
    assert b"expires" in [quote.payload for quote in quotes if quote]


@pytest.mark.loopback
def test_a_socket_that_drops_all_receives_nothing() -> None:
    udp = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*udp) as deaf, socket.socket(*udp) as sender:
        bpf.attach_drop_all(deaf)
        deaf.bind(("127.0.0.1", 0))
        sender.sendto(b"hello", deaf.getsockname())
        deaf.setblocking(False)
        with pytest.raises(BlockingIOError):
            deaf.recv(10)
