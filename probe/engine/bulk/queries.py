"""Thousands of DNS queries to one resolver, and everything that comes back to each: every answer, with the TTL and the
identification of its packet. Who looks for forged answers needs the second as much as the first.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Generator, Sequence

import msgspec

from probe.engine.budget import HEADERS, Row
from probe.engine.bulk.burst import Burst, Departures, Patience
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.line import Line
from probe.engine.bulk.replies import Memory
from probe.engine.ring import Ring
from probe.engine.sockets import explain
from probe.model.errors import CannotMeasure, UsageError
from probe.wire.address import address_bytes
from probe.wire.dns import A, query

MOST = 60_000
"""Queries of one job: the DNS identifier tells them apart, on one port."""
_ROW = 64
_LOOK = 0.001  # seconds between two looks for answers
_ATTEMPTS = 3
_ANSWER4 = struct.Struct(">B3xH2xBB2x4s4xHHH2xH").unpack_from
"""Version and length, identification, TTL, protocol, source; ports, length of the datagram; DNS identifier."""
_ANSWER6 = struct.Struct(">B5xBB16s16xHHH2xH").unpack_from


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One answer: TTL on arrival, identification of its packet (None for IPv6), nanoseconds after its query, and the
    message as it came."""

    ttl: int
    ident: int | None
    after: int
    message: bytes


class Asked(msgspec.Struct):
    """``replies[i]``: all answers to the ``i``-th query, in the order in which they came. ``lost``: packets that the
    capture had no room for. ``refused``: the kernel's number of the last ICMP error that came back, by the resolver
    (ECONNREFUSED: nothing listens there) or a router; 0 if none did."""

    replies: list[list[Reply]]
    packets: int = 0
    lost: int = 0
    refused: int = 0


def ask(
    line: Line, resolver: str, names: Sequence[str], *, qtype: int = A, port: int = 53, window: int = 100,
    wait: float = 1.0, linger: float = 0.0,
) -> Generator[float, None, Asked]:  # fmt: skip
    """Ask for every name, at most ``window`` at a time; what stays silent for ``wait`` seconds is asked again. Yields
    seconds to wait; goes on listening for ``linger`` seconds in the end.

    Raises UsageError (too many names), MalformedPacket (one that is none), ForbiddenDestination, NoRoute, NoPermission
    before anything is sent; BudgetExhausted and CannotMeasure.
    """
    if len(names) > MOST:
        raise UsageError(f"{len(names)} names are more than {MOST}")
    held = line.gate.admit([resolver])
    ((way, _),) = (yield from line.ways([resolver])).items()
    with line.flow(way, resolver, port) as (own, sock, ring):
        tag = line.number()
        queries = [query(name, (tag + i) & 0xFFFF, qtype) for i, name in enumerate(names)]
        size = max(map(len, queries), default=12)
        burst = Burst(sock, bytes(size * min(_ROW, window)), size)
        asker = _Asker(ring, line.gate, held, burst, queries, tag, (own, port, address_bytes(resolver)), 1 / line.rate)
        for _ in range(_ATTEMPTS):
            yield from asker.round(window, wait)
            if not asker.silent():
                break
        yield from asker.listen(linger)
        return Asked(asker.replies, asker.packets, ring.dropped(), burst.refused())


class _Asker:
    """``flow``: own port, that of the resolver, its address."""

    def __init__(
        self, ring: Ring, gate: Gate, held: Row, burst: Burst, queries: list[bytes], tag: int,
        flow: tuple[int, int, bytes], each: float, stamp: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._ring, self._gate, self._held, self._burst, self._queries = ring, gate, held, burst, queries
        self._tag, self._each, self._stamp = tag, each, stamp
        self._own, self._port, self._resolver = flow
        self._sent = [0] * len(queries)
        self._open = 0
        self._due = time.monotonic()
        self.replies: list[list[Reply]] = [[] for _ in queries]
        self.packets = 0
        self._departures = Departures()

    def silent(self) -> list[int]:
        """Queries without an answer."""
        return [i for i, replies in enumerate(self.replies) if not replies]

    def round(self, window: int, wait: float) -> Generator[float, None, None]:
        """Ask once for all that has no answer."""
        todo, at = self.silent(), 0
        self._open, given_up = 0, time.monotonic() + wait
        while at < len(todo) or self._open > 0:
            if self._ring.drain(self._take):
                given_up = time.monotonic() + wait
            elif time.monotonic() > given_up:
                self._open = 0  # those under way are lost
                if at >= len(todo):
                    return
            room = min(window - self._open, self._burst.count, len(todo) - at)
            delay = self._due - time.monotonic()
            if room > 0 and delay <= 0:
                allowed, delay = self._gate.take(self._held.rates * room, HEADERS + self._burst.size)
                yield from self._send(todo[at : at + allowed])
                at += allowed
                if allowed:
                    given_up = time.monotonic() + wait
                self._due = max(self._due, time.monotonic() - 2 * _LOOK) + allowed * self._each
            yield min(max(delay, _LOOK), wait)

    def listen(self, seconds: float) -> Generator[float, None, None]:
        """Take what still comes."""
        end = time.monotonic() + seconds
        self._ring.drain(self._take)
        while (left := end - time.monotonic()) > 0:
            yield left
            self._ring.drain(self._take)

    def _send(self, row: Sequence[int]) -> Generator[float, None, None]:
        burst, size, at, patience = self._burst, self._burst.size, 0, Patience()
        for slot, i in enumerate(row):
            message = self._queries[i]
            burst.buffer[slot * size : slot * size + len(message)] = message
            burst.lengthen(slot, len(message))
        while at < len(row):
            before = self._stamp()
            try:
                count = burst.send(at, len(row) - at)
            except OSError as error:
                raise CannotMeasure(f"can't send queries ({explain(error)})", "is the cable in?") from None
            for i, left in zip(row[at : at + count], self._departures.of(before, self._stamp(), count), strict=False):
                self._sent[i] = left
            at += count
            self._open += count
            self.packets += count
            if not count:
                patience.lose()
                yield _LOOK

    def _take(self, ns: int, memory: Memory, at: int, length: int) -> None:
        if length < 40:
            return
        if memory[at] == 0x45:
            _, ident, ttl, protocol, source, far, own, octets, number = _ANSWER4(memory, at)
            start = at + 28
        elif memory[at] >> 4 == 6 and length >= 60:
            _, protocol, ttl, source, far, own, octets, number = _ANSWER6(memory, at)
            ident, start = None, at + 48
        else:
            return
        i = (number - self._tag) & 0xFFFF
        if protocol != 17 or far != self._port or own != self._own or source != self._resolver:
            return
        if i >= len(self._sent) or not self._sent[i]:
            return
        replies = self.replies[i]
        if not replies:
            self._open -= 1
        end = min(at + length, start + octets - 8)
        replies.append(Reply(ttl, ident, ns - self._sent[i], bytes(memory[start:end])))
