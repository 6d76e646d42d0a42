"""A box without a network: what it says to packets, and what it emits."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from probe.lab.boxes.make import make
from probe.lab.kinds import Inspecting
from probe.model.packet import Packet
from probe.wire import ip


class Sent(NamedTuple):
    packet: Packet
    upstream: bool
    delay: float


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Box:
    """An inspector and what it emitted."""

    def __init__(self, spec: Inspecting, seed: int = 1) -> None:
        self.clock = Clock()
        self.sent: list[Sent] = []
        self._inspector = make(spec, Random(seed), self.clock)

    def emit(self, packet: Packet, *, upstream: bool, delay: float = 0.0) -> None:
        ip.encode(packet)  # what can't be sent must not be emitted
        self.sent.append(Sent(packet, upstream, delay))

    def see(self, packet: Packet, *, upstream: bool = True) -> bool | Packet:
        return self._inspector.see(packet, upstream, self.emit)
