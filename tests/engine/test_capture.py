"""The capture: own flows alone, both ways, stamped by the kernel; what it loses it counts."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from probe.engine import capture as module
from probe.engine.capture import Capture
from probe.engine.clock import Timeline
from probe.engine.ports import MASK
from probe.lab.lab import Lab
from probe.model.errors import CannotMeasure, NoPermission, NoRoute
from probe.model.packet import Udp
from probe.wire import ip

BASE = 0xF800
Seen = list[tuple[int, bool, bytes, str]]


def datagram(port: int, payload: bytes, server: str = "203.0.113.10", to: int = 53) -> None:
    """Send one from a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        sock.sendto(payload, (server, to))


@pytest.mark.lab
def test_own_flows_are_heard_both_ways_with_their_times(chain: Lab) -> None:
    seen: Seen = []

    async def run() -> None:
        capture = Capture(BASE, MASK, lambda ns, out, data, via: seen.append((ns, out, bytes(data), via)), Timeline())
        try:
            capture.listen("eth0")
            capture.listen("eth0")  # once is enough
            assert capture.interfaces == 1
            datagram(BASE - 1, b"not ours")
            datagram(BASE + 1, b"ours", to=9)  # a closed port: an error comes back
            while len(seen) < 2:  # noqa: ASYNC110 - the capture knows no events
                await asyncio.sleep(0.005)
            datagram(BASE + 1, b"drained")
            capture.drain()
        finally:
            capture.close()

    with chain.enter("chain"):
        before = time.time_ns()
        asyncio.run(asyncio.wait_for(run(), 5))
        after = time.time_ns()
    packets = [(out, ip.decode(data)) for _, out, data, _ in seen]
    assert [out for out, _ in packets] == [True, False, True]
    assert [packet.payload for _, packet in packets if isinstance(packet.header, Udp)] == [b"ours", b"drained"]
    assert before <= seen[0][0] < seen[1][0] < seen[2][0] <= after
    assert seen[1][0] - seen[0][0] >= 15_000_000  # the chain's round trip
    assert {via for *_, via in seen} == {"eth0"}


@pytest.mark.lab
def test_what_is_lost_is_counted_and_a_flood_lets_others_have_their_turn(
    chain: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RECEIVE_BUFFER", 1)
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    batches: list[int] = []

    async def run() -> tuple[int, int]:
        seen: Seen = []
        capture = Capture(BASE, MASK, lambda *what: seen.append((what[0], what[1], b"", what[3])), Timeline())
        try:
            capture.listen("eth0")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(("", BASE + 2))
                for _ in range(300):
                    sock.sendto(b"x" * 1000, ("203.0.113.12", 9))
            for _ in range(5):
                before = len(seen)
                await asyncio.sleep(0)
                batches.append(len(seen) - before)
            capture.drain()
        finally:
            capture.close()
        lost = capture.dropped()  # told after the end, too
        assert capture.dropped() == 0  # counted once
        return len(seen), lost

    with chain.enter("chain"):
        heard, lost = asyncio.run(run())
    assert 0 < heard < 300
    assert heard + lost == 300
    assert max(batches) <= 2


@pytest.mark.lab
def test_an_interface_that_vanishes_is_silence(chain: Lab) -> None:
    seen: Seen = []

    async def run() -> int:
        chain.run("chain", ["ip", "link", "add", "gone0", "type", "veth", "peer", "name", "gone1"], check=True)
        chain.run("chain", ["ip", "link", "set", "gone0", "up"], check=True)
        capture = Capture(BASE, MASK, lambda ns, out, data, via: seen.append((ns, out, bytes(data), via)), Timeline())
        try:
            capture.listen("gone0")
            chain.run("chain", ["ip", "link", "del", "gone0"], check=True)
            turns = 0
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                await asyncio.sleep(0.001)
                turns += 1
            capture.drain()
            return turns
        finally:
            capture.close()

    with chain.enter("chain"):
        assert asyncio.run(run()) < 60  # the loop slept: a dead socket does not keep it busy
    assert seen == []


@pytest.mark.lab
def test_what_can_not_be_captured(chain: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def listen() -> None:
        capture = Capture(BASE, MASK, lambda *_: None, Timeline())
        try:
            capture.listen("no-such")
        finally:
            capture.close()

    def refuse(error: OSError) -> None:
        def opened(*_: object) -> socket.socket:
            raise error

        monkeypatch.setattr(socket, "socket", opened)

    with chain.enter("chain"), pytest.raises(NoRoute, match="no-such"):
        asyncio.run(listen())
    loop = asyncio.new_event_loop()  # its own sockets are made before any are refused
    try:
        refuse(PermissionError(1, "no"))
        with pytest.raises(NoPermission, match="colibri"):
            loop.run_until_complete(listen())
        refuse(OSError(24, "Too many open files"))
        with pytest.raises(CannotMeasure, match="Too many open files"):
            loop.run_until_complete(listen())
    finally:
        loop.close()
