"""What is kept of the capture: the run's own flows, scrubbed, once each, in order, and never too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from probe.engine import intake as module
from probe.engine.capture import Capture
from probe.engine.clock import Timeline
from probe.engine.intake import Intake, Waiter
from probe.model.exchange import UdpStep
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import ip
from probe.wire.scrub import Scrubber

HOME, FAR, BASE = "192.168.1.2", "203.0.113.10", 0xF000
KEY = (17, BASE + 1)
STEP = UdpStep(address=FAR, port=53, payload=b"ask")


def datagram(payload: bytes, outgoing: bool = True, port: int = BASE + 1) -> bytearray:
    source, destination = (HOME, FAR) if outgoing else (FAR, HOME)
    ports = (port, 53) if outgoing else (53, port)
    return bytearray(ip.encode(Packet(4, source, destination, 64, 17, 0, 5, header=Udp(*ports, 0), payload=payload)))


def within(test: Callable[[Intake], None]) -> None:
    """Run a test with an intake whose flow KEY is open; no interface is captured."""

    async def run() -> None:
        intake = Intake(Scrubber(frozenset({HOME}), ()), BASE, Timeline())
        intake.open(KEY)
        try:
            test(intake)
        finally:
            intake.close()

    asyncio.run(run())


def test_packets_of_own_flows_are_kept_without_the_home() -> None:
    def test(intake: Intake) -> None:
        intake._take(1, True, datagram(b"ask"), "eth0")
        intake._take(2, False, datagram(b"answer", outgoing=False), "eth0")
        intake._take(3, True, datagram(b"another run's", port=BASE + 2), "eth0")
        kept = [(r.ns, r.outgoing, r.packet.payload) for r in intake.of(KEY)]
        assert kept == [(1, True, b"ask"), (2, False, b"answer")]
        assert intake.records == intake.of(KEY)
        assert {r.packet.source for r in intake.records} == {"0.0.0.0", FAR}
        assert not any(bytes([192, 168, 1, 2]) in r.data for r in intake.records)
        assert intake.of((17, BASE + 2)) == []

    within(test)


def test_what_can_not_be_read_is_counted() -> None:
    def test(intake: Intake) -> None:
        intake._take(1, False, bytearray(b"\x45\x00\x00"), "eth0")
        intake._take(2, False, bytearray(), "eth0")
        assert intake.malformed == 2
        assert intake.records == []

    within(test)


def test_packets_come_in_order_of_time() -> None:
    def test(intake: Intake) -> None:
        for ns in (30, 10, 20):
            intake._take(ns, True, datagram(b"%d" % ns), "eth0")
        assert [record.ns for record in intake.of(KEY)] == [10, 20, 30]

    within(test)


def test_a_packet_that_passes_two_interfaces_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Capture, "interfaces", 2)

    def test(intake: Intake) -> None:
        milli = 1_000_000
        intake._take(1 * milli, True, datagram(b"ask"), "br0")
        intake._take(2 * milli, True, datagram(b"ask"), "eth0")  # the same, below the bridge
        intake._take(3 * milli, True, datagram(b"other"), "eth0")
        intake._take(4 * milli, False, datagram(b"ask", outgoing=False), "eth0")
        intake._take(5 * milli, False, datagram(b"ask", outgoing=False), "eth0")  # the network made it two
        intake._take(900 * milli, True, datagram(b"ask"), "eth0")  # sent again
        assert [record.ns // milli for record in intake.of(KEY)] == [1, 3, 4, 5, 900]

    within(test)


def test_a_flood_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)

    def test(intake: Intake) -> None:
        for ns in range(100):
            intake._take(ns, False, datagram(b"x" * 72, outgoing=False), "eth0")
        assert len(intake.records) == 10
        assert intake.dropped() == 90
        assert intake.dropped() == 0

    within(test)


def test_whoever_waits_is_told_of_an_answer_and_of_no_older_one() -> None:
    def test(intake: Intake) -> None:
        with intake.waiter(KEY, STEP, 10) as waiter:
            intake._take(5, True, datagram(b"ask"), "eth0")
            intake._take(6, False, datagram(b"stale", outgoing=False), "eth0")
            assert not waiter.settled.is_set()
            intake._take(11, True, datagram(b"ask"), "eth0")
            assert not waiter.settled.is_set()
            intake._take(12, False, datagram(b"fresh", outgoing=False), "eth0")
            assert waiter.settled.is_set()
        with pytest.raises(ZeroDivisionError), intake.waiter(KEY, STEP, 10):
            1 / 0  # noqa: B018
        assert intake._waiters[KEY] == []

    within(test)


def test_a_wait_ends_in_time_and_lingers_after_an_answer() -> None:
    async def measure(answered: bool, wait: float, linger: float) -> float:
        waiter = Waiter(STEP, 0)
        if answered:
            waiter.settled.set()
        begun = time.monotonic()
        await waiter.listen(wait, linger)
        return time.monotonic() - begun

    assert asyncio.run(measure(answered=False, wait=0.05, linger=9)) == pytest.approx(0.05, abs=0.5)
    assert asyncio.run(measure(answered=True, wait=9, linger=0.05)) == pytest.approx(0.05, abs=0.5)
    assert asyncio.run(measure(answered=True, wait=9, linger=0)) < 1


def test_of_a_quiet_flow_the_first_and_the_last_are_kept() -> None:
    def test(intake: Intake) -> None:
        other = (17, BASE + 2)
        intake.open(other)
        with intake.quiet(KEY, 2, 3):
            for ns in range(100):
                intake._take(ns, True, datagram(b"%d" % ns), "eth0")
                intake._take(ns, True, datagram(b"%d" % ns, port=BASE + 2), "eth0")
            assert [record.ns for record in intake.of(KEY)] == [0, 1]
        intake._take(100, True, datagram(b"100"), "eth0")
        assert [record.ns for record in intake.of(KEY)] == [0, 1, 97, 98, 99, 100]
        assert len(intake.of(other)) == 100
        assert {record.packet.source for record in intake.records} == {"0.0.0.0"}

    within(test)


def test_a_quiet_flow_is_told_by_its_port_and_its_protocol() -> None:
    def test(intake: Intake) -> None:
        with intake.quiet((6, BASE + 1), 0, 1):
            intake._take(1, True, datagram(b"another protocol"), "eth0")
            intake._take(2, False, bytearray(b"\x45"), "eth0")
            intake._take(3, False, bytearray(), "eth0")
        assert [record.ns for record in intake.records] == [1]
        assert intake.malformed == 2

    within(test)


def test_of_incoming_packets_of_a_sealed_flow_the_head_is_kept() -> None:
    def segment(size: int, *, outgoing: bool) -> bytearray:
        source, destination = (HOME, FAR) if outgoing else (FAR, HOME)
        ports = (BASE + 1, 443) if outgoing else (443, BASE + 1)
        header = Tcp(*ports, 1, 1, Flags.ACK, 1000, 0)
        return bytearray(ip.encode(Packet(4, source, destination, 64, 6, 0, 5, header=header, payload=bytes(size))))

    def test(intake: Intake) -> None:
        key = (6, BASE + 1)
        intake.open(key)
        with intake.sealed(key):
            intake._take(1, True, segment(1400, outgoing=True), "eth0")
            intake._take(2, False, segment(1400, outgoing=False), "eth0")
            intake._take(3, False, segment(100, outgoing=False), "eth0")
        intake._take(4, False, segment(1400, outgoing=False), "eth0")
        assert [len(record.data) for record in intake.of(key)] == [1440, 300, 140, 1440]
        assert [len(record.packet.payload) for record in intake.of(key)] == [1400, 260, 100, 1400]
        assert [record.packet.length for record in intake.of(key)] == [1440, 1440, 140, 1440]

    within(test)


def test_large_packets_of_a_quiet_flow_are_cut() -> None:
    def test(intake: Intake) -> None:
        with intake.quiet(KEY, 2, 1):
            intake._take(1, True, datagram(bytes(1400)), "eth0")
            intake._take(2, True, datagram(bytes(800)), "eth0")
            intake._take(3, True, datagram(bytes(1400)), "eth0")
        intake._take(4, True, datagram(bytes(1400)), "eth0")
        assert [len(record.data) for record in intake.records] == [100, 828, 100, 100]
        assert [record.packet.length for record in intake.records] == [1428, 828, 1428, 1428]

    within(test)


def test_of_what_comes_after_a_quiet_flow_the_first_few_are_kept() -> None:
    def test(intake: Intake) -> None:
        with intake.quiet(KEY, 1, 2):
            for ns in range(10):
                intake._take(ns, True, datagram(b"%d" % ns), "eth0")
        for ns in range(10, 100):
            intake._take(ns, True, datagram(b"%d" % ns), "eth0")
        assert [record.ns for record in intake.of(KEY)] == [0, 8, 9, *range(10, 26)]
        assert intake.dropped() == 0

    within(test)


@pytest.mark.parametrize("steps", range(5))
def test_whoever_is_cancelled_while_being_told_of_an_answer_ends(steps: int) -> None:
    """A pause must not be swallowed (as asyncio.wait_for of Python 3.11 does): the measurement would go on sending."""

    async def main() -> None:
        waiter = Waiter(STEP, 0)
        listening = asyncio.create_task(waiter.listen(wait=60, linger=60))
        await asyncio.sleep(0.01)  # until it waits
        waiter.settled.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        listening.cancel()
        done, _ = await asyncio.wait({listening}, timeout=5)
        listening.cancel()
        assert done == {listening}
        assert listening.cancelled()

    asyncio.run(main())
