"""What makes flows slow: a leaky bucket that drops or delays, for chosen names or for a whole line."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from probe.lab.boxes import Emit
from probe.lab.boxes.flows import Flow, flow_of, goes
from probe.lab.boxes.inspect import forbidden
from probe.lab.boxes.recognise import quic_name
from probe.lab.kinds import Line, Throttle
from probe.lab.kinds.base import Where
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import ip

_MOST = 20_000  # flows remembered


class Bucket:
    """Says when a packet may go on. Bits leave at a rate; what exceeds it by more than ``burst`` bytes waits."""

    def __init__(self, burst: int, queue: float) -> None:
        """``queue``: seconds that a packet may wait; 0: none waits."""
        self._burst = burst
        self._queue = queue
        self._free = 0.0  # when all that was taken in will have left

    def take(self, size: int, rate: float, now: float) -> float | None:
        """Seconds until a packet of ``size`` bytes may go on at ``rate`` kbit/s; None: never."""
        per_byte = 0.008 / rate
        free = max(self._free, now - self._burst * per_byte) + size * per_byte
        wait = max(0.0, free - now)
        if wait > self._queue:
            return None
        self._free = free
        return wait


class Throttler:
    """What :class:`Throttle` is."""

    in_path = True

    def __init__(self, spec: Throttle, random: Random, now: Callable[[], float]) -> None:
        self._spec = spec
        self._random = random
        self._now = now
        self._where: tuple[Where, ...] = tuple(one for one in spec.where if one != "quic")
        self._chosen: dict[Flow, bool] = {}
        self._buckets: dict[tuple[object, bool], Bucket] = {}

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
        header = packet.header
        if not isinstance(header, Tcp | Udp):
            return True
        flow = flow_of(packet, header, upstream)
        if isinstance(header, Tcp) and header.flags & Flags.SYN:
            self._chosen.pop(flow, None)
        if upstream and packet.payload and flow not in self._chosen and self._named(packet):
            while len(self._chosen) >= _MOST:
                del self._chosen[next(iter(self._chosen))]
            self._chosen[flow] = self._random.random() < self._spec.share
        if not self._chosen.get(flow) or not goes(upstream, self._spec.direction):
            return True
        key = (flow if self._spec.per == "flow" else flow[0], upstream)
        queue = self._spec.queue if self._spec.mode == "shape" else 0.0
        bucket = self._buckets.setdefault(key, Bucket(self._spec.burst, queue))
        return _go_on(packet, bucket.take(_size(packet), self._spec.rate, self._now()), upstream, emit)

    def _named(self, packet: Packet) -> bool:
        if isinstance(packet.header, Tcp):
            return forbidden(packet.payload, self._spec.words, self._where)
        name = quic_name(packet.payload) if "quic" in self._spec.where else None
        return name is not None and any(word in name for word in self._spec.words)


class LineLimit:
    """What :class:`Line` is."""

    in_path = True

    def __init__(self, spec: Line, random: Random, now: Callable[[], float]) -> None:
        self._spec = spec
        self._random = random
        self._now = now
        self._rates = {True: spec.up, False: spec.down}
        self._buckets = {upstream: Bucket(spec.burst, spec.queue) for upstream in (True, False)}
        self._busy = False
        self._until = 0.0

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
        rate = self._rates[upstream]
        if not rate:
            return True
        now = self._now()
        left = rate * (1 - self._spec.load) if self._is_busy(now) else rate
        return _go_on(packet, self._buckets[upstream].take(_size(packet), left, now), upstream, emit)

    def _is_busy(self, now: float) -> bool:
        if not self._spec.load:
            return False
        if not self._until:
            self._until = now + self._random.expovariate(1 / self._spec.period)
        while now >= self._until:
            self._busy = not self._busy
            self._until += self._random.expovariate(1 / self._spec.period)
        return self._busy


def _size(packet: Packet) -> int:
    return packet.length or len(ip.encode(packet))


def _go_on(packet: Packet, wait: float | None, upstream: bool, emit: Emit) -> bool:
    if wait is None:
        return False
    if wait == 0:
        return True
    emit(packet, upstream=upstream, delay=wait)
    return False
