"""How streams of RTP arrived: counts, loss, jitter and the very numbers, in bounded memory."""

from __future__ import annotations

from collections import Counter, OrderedDict

from probe.model.reflector import MEMORY, StreamReport
from probe.wire.rtp import Packet, Receiver

LONGEST = 6000
"""Sequence numbers of a stream that are remembered one by one: two minutes of 50 packets a second."""
_EARLY = 64  # numbers before the first that arrived which may still come (reordering)
_MOST = 4096
_MOST_EACH = 64

_Key = tuple[bytes, int, bool]


class _Stream:
    """One source's packets of one SSRC."""

    __slots__ = ("at", "base", "bits", "echoed", "port", "receiver", "toses", "ttls")

    def __init__(self, port: int, sequence: int) -> None:
        self.port = port
        self.receiver = Receiver()
        self.base = sequence - _EARLY
        self.bits = bytearray(LONGEST // 8)
        self.ttls: set[int] = set()
        self.toses: set[int] = set()
        self.echoed = 0
        self.at = 0.0

    def take(self, now: float, packet: Packet) -> None:
        number = self.receiver.take(now, packet.sequence, packet.timestamp) - self.base
        if 0 <= number < LONGEST:
            self.bits[number >> 3] |= 0x80 >> (number & 7)
        self.at = now

    def report(self, ssrc: int, inverted: bool) -> StreamReport:
        seen = int.from_bytes(self.bits, "big")
        width = LONGEST // 8 * 8
        first, last = width - seen.bit_length(), width - (seen & -seen).bit_length()
        shown = (seen << first & (1 << width) - 1).to_bytes(width // 8, "big")[: (last - first) // 8 + 1]
        return StreamReport(
            ssrc=ssrc, port=self.port, inverted=inverted, packets=self.receiver.received, first=self.base + first,
            last=self.base + last, lost=last - first + 1 - seen.bit_count(), jitter=round(self.receiver.jitter, 6),
            arrived=shown, ttls=tuple(sorted(self.ttls)), toses=tuple(sorted(self.toses)), echoed=self.echoed,
        )  # fmt: skip


class Streams:
    """All streams of the last minutes, by source and SSRC."""

    def __init__(self) -> None:
        self._streams: OrderedDict[_Key, _Stream] = OrderedDict()
        self._each: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._streams)

    def note(
        self, source: bytes, packet: Packet, now: float, *, port: int, ttl: int | None, tos: int | None, inverted: bool
    ) -> _Stream | None:
        """Count a packet; its stream, or None where the source has too many of them."""
        key = (source, packet.ssrc, inverted)
        stream = self._streams.get(key)
        if stream is None:
            self._forget(now)
            if self._each[source] >= _MOST_EACH:
                return None
            self._each[source] += 1
            stream = self._streams[key] = _Stream(port, packet.sequence)
        stream.take(now, packet)
        self._streams.move_to_end(key)
        for value, seen in ((ttl, stream.ttls), (tos, stream.toses)):
            if value is not None and len(seen) < 8:
                seen.add(value)
        return stream

    def _forget(self, now: float) -> None:
        """What is old goes, and the oldest where there are too many."""
        while self._streams:
            key = next(iter(self._streams))
            if now - self._streams[key].at <= MEMORY and len(self._streams) < _MOST:
                return
            del self._streams[key]
            self._each[key[0]] -= 1
            if not self._each[key[0]]:
                del self._each[key[0]]

    def report(self, source: bytes, ssrc: int, now: float) -> list[StreamReport]:
        """The reports on a source's streams of that SSRC: a stream, its inverted twin, both or none."""
        found = []
        for inverted in (False, True):
            stream = self._streams.get((source, ssrc, inverted))
            if stream is not None and now - stream.at <= MEMORY:
                found.append(stream.report(ssrc, inverted))
        return found
