"""Labs for the packet tests, and eyes to see with what arrives in a home."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from probe.lab.kinds import Box
from probe.lab.lab import Lab
from probe.lab.scenario import Scenario
from probe.model.packet import Packet
from probe.wire import ip

Raise = Callable[..., Lab]


def crowding() -> float:
    """How many times longer than alone on the machine work takes now (1 or more): wall clock by own time of a loop."""
    begun, own = time.monotonic(), time.process_time()
    while time.process_time() - own < 0.1:
        pass
    return max(1.0, (time.monotonic() - begun) / (time.process_time() - own))


def quickest(enough: float, measure: Callable[[], float]) -> float:
    """The least of up to five durations, of which the first that is below ``enough`` ends the trials.

    A machine that does other things as well delays some of them; what is too slow by itself is so each time.
    """
    least = float("inf")
    for _ in range(5):
        least = min(least, measure())
        if least < enough:
            break
    return least


@pytest.fixture
def chain() -> Iterator[Raise]:
    """``chain(boxes, hops=4, rtt=0.02)`` raises a tiny lab that ends with the test."""
    labs: list[Lab] = []

    def up(*boxes: Box, hops: int = 4, rtt: float = 0.02) -> Lab:
        labs.append(Lab.chain(hops, boxes, rtt))
        return labs[-1]

    yield up
    for lab in labs:
        lab.down()


@pytest.fixture
def internet() -> Iterator[Raise]:
    """``internet(*boxes)`` raises the three operators; the lab ends with the test."""
    labs: list[Lab] = []

    def up(*boxes: Box, rtt: float = 0.02) -> Lab:
        labs.append(Lab.up(Scenario(name="test", description="A test.", boxes=boxes, rtt=rtt)))
        return labs[-1]

    yield up
    for lab in labs:
        lab.down()


def _of_the_link(packet: Packet) -> bool:
    """Neighbour discovery and multicast listeners (ICMPv6 types from 130 on)."""
    return packet.protocol in (0, 58) and (packet.header is None or getattr(packet.header, "type", 0) >= 130)


class Ear:
    """Hears every IP packet that comes into a home, with the TTL as on the wire."""

    def __init__(self, lab: Lab, operator: str = "chain") -> None:
        with lab.enter(operator):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING

    def packets(self, seconds: float = 0.4, until: Callable[[list[Packet]], bool] | None = None) -> list[Packet]:
        """What comes in for some seconds, until it is enough; or, without ``until``, up to so many seconds of silence.

        On a busy machine the lab's own routers are late: the silence counts from the first packet on.
        """
        found: list[Packet] = []
        end = time.monotonic() + (seconds if until else 10)
        while (left := end - time.monotonic()) > 0 and not (until and until(found)):
            self._socket.settimeout(min(left, seconds) if found else left)
            try:
                data, address = self._socket.recvfrom(4096)
            except TimeoutError:
                break
            if address[1] in (0x0800, 0x86DD) and not _of_the_link(packet := ip.decode(data)):
                found.append(packet)
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listen() -> Iterator[Callable[..., Ear]]:
    """``listen(lab, operator)`` gives an :class:`Ear`."""
    ears: list[Ear] = []

    def start(lab: Lab, operator: str = "chain") -> Ear:
        ears.append(Ear(lab, operator))
        return ears[-1]

    yield start
    for ear in ears:
        ear.close()
