"""The ring: own flows alone, what comes in, stamped by the kernel; what finds no room is counted."""

from __future__ import annotations

import mmap
import socket
import time

import pytest

from probe.engine import bpf
from probe.engine.ports import MASK
from probe.engine.ring import Ring
from probe.lab.lab import Lab
from probe.model.errors import CannotMeasure, NoPermission, NoRoute
from probe.model.packet import Icmp, Packet
from probe.wire import ip

BASE = 0xF800


def drained(ring: Ring, until: int = 1) -> list[tuple[int, Packet]]:
    """(time, packet) of what comes within two seconds, ``until`` so many are there."""
    seen: list[tuple[int, Packet]] = []

    def take(ns: int, memory: mmap.mmap, at: int, length: int) -> None:
        seen.append((ns, ip.decode(memory[at : at + length])))

    end = time.monotonic() + 2
    while len(seen) < until and time.monotonic() < end:
        ring.drain(take)
        time.sleep(0.002)
    return seen


def send(port: int, count: int = 1, payload: bytes = b"x") -> None:
    """Datagrams to a closed port of the server: as many errors come back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        for _ in range(count):
            sock.sendto(payload, ("203.0.113.11", 9))


@pytest.mark.lab
def test_what_comes_in_is_there_with_its_time_and_again_after_the_ring_has_gone_round(chain: Lab) -> None:
    with chain.enter("chain"):
        ring = Ring("eth0", bpf.assemble(BASE, MASK), frames=256)
        try:
            for _ in range(4):  # 4 * 100 packets in 256 places
                before = time.time_ns()
                send(BASE - 1, 3)  # not ours
                send(BASE + 1, 100)
                seen = drained(ring, 100)
                assert len(seen) == 100
                assert all(before < at < time.time_ns() for at, _ in seen)
                assert all(isinstance(one.header, Icmp) and one.header.type == 3 for _, one in seen)
            assert ring.dropped() == 0
        finally:
            ring.close()


@pytest.mark.lab
def test_what_finds_no_room_is_counted(chain: Lab) -> None:
    with chain.enter("chain"):
        ring = Ring("eth0", bpf.assemble(BASE, MASK), frames=256)
        try:
            send(BASE + 1, 400)
            time.sleep(0.3)
            seen = drained(ring, 256)
            assert len(seen) + ring.dropped() == 400
            assert len(seen) == 256
            assert ring.dropped() == 0
        finally:
            ring.close()


@pytest.mark.lab
def test_of_a_long_packet_the_head_is_kept(chain: Lab) -> None:
    with chain.enter("chain"):
        ring = Ring("eth0", bpf.assemble(BASE, MASK))
        try:
            send(BASE + 1, payload=bytes(500))
            kept: list[int] = []
            end = time.monotonic() + 2
            while not kept and time.monotonic() < end:
                ring.drain(lambda _ns, _memory, _at, length: kept.append(length))
            assert 100 < kept[0] < 256
        finally:
            ring.close()


@pytest.mark.lab
def test_where_there_can_be_no_ring(chain: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    code = bpf.assemble(BASE, MASK)
    with chain.enter("chain"):
        with pytest.raises(NoRoute, match="no-such"):
            Ring("no-such", code)
        with pytest.raises(CannotMeasure, match="no ring"):
            Ring("eth0", code, frames=3)

    def refused(*_: object) -> socket.socket:
        raise PermissionError(1, "no")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(NoPermission, match="CAP_NET_RAW"):
        Ring("eth0", code)
