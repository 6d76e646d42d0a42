"""Probes to many far ends at many TTLs, and what came back: a row of them leaves with one call, each in its own place.

A volley is of one IP version on one interface. Its methods are generators that yield the seconds to wait before they go
on, so that a daemon's event loop and a plain command can drive them (:mod:`probe.engine.bulk.drive`).
"""

from __future__ import annotations

import struct
import time
from array import array
from collections.abc import Callable, Generator, Sequence

import msgspec

from probe.engine.budget import HEADERS, Row
from probe.engine.bulk.burst import Burst, Departures, Patience
from probe.engine.bulk.frames import SHAPES, Kind, numbered
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.replies import Key, Memory, Said, read
from probe.engine.ring import Ring
from probe.model.errors import ForbiddenDestination
from probe.wire.address import address_bytes, address_text

ROW = 128
"""Most packets that leave with one call: as many may come to a home's router at once."""
_EVERY = 0.0128  # seconds between two calls, at the least: each wakes the processor
_LOOK = (0.002, 0.02)  # seconds between two looks for answers, at least and at most: the longer the silence, the rarer
_TTLS = 256  # numbers of one attempt

Wait = Generator[float, None, None]
Probes = Sequence[tuple[int, int]]
"""(far end, TTL) each; no far end twice."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back first for a probe: what was said, by which address (4 or 16 bytes), with which TTL on arrival,
    after how many nanoseconds, with which ICMP code."""

    said: Said
    who: bytes
    ttl: int
    after: int
    code: int


class Volley:
    """``answers[i][ttl]``: what came back from probes to the ``i``-th far end. ``errors``: far ends that this machine
    could not send to, with the kernel's number of the error. ``packets``: sent; ``copies``: answers that came again;
    ``slowest``: nanoseconds that the slowest first answer took; ``reach[i]``: the lowest TTL at which the ``i``-th far
    end itself answered, 256 if none."""

    def __init__(
        self, burst: Burst, ring: Ring, gate: Gate, kind: Kind, version: int, own: int,
        ends: Sequence[tuple[str, int]], held: Row, tag: int, rate: int, most: int,
        stamp: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """``burst``: the templates, one for each of ``ends`` (address, port); ``own``: the local port; ``held``: what
        the gate has admitted, all far ends among it; ``tag``: where numbers begin, by chance; ``rate``: most packets a
        second; ``most``: the highest TTL; ``stamp``: the clock by which the kernel stamps.

        Raises ForbiddenDestination for a far end that was not admitted: then nothing was sent.
        """
        self._burst, self._ring, self._gate, self._own, self._tag, self._stamp = burst, ring, gate, own, tag, stamp
        self._shape = SHAPES[version, kind]
        raw = [address_bytes(address) for address, _ in ends]
        try:
            self._rates = [held.by_address[key] for key in raw]
        except KeyError as key:
            raise ForbiddenDestination(f"{address_text(key.args[0])} did not pass the gate") from None
        self._held = held
        self._index: dict[Key, int] = {
            key + (port if kind == "tcp" else 0).to_bytes(2, "big"): i
            for i, (key, (_, port)) in enumerate(zip(raw, ends, strict=True))
        }
        self._each = 1.0 / rate
        self._departures = Departures()
        self._row = max(1, min(ROW, int(rate * _EVERY)))
        self._count, self._most = len(ends), most
        self._sent: list[array[int]] = []  # by attempt: nanoseconds, at TTL * count + end; 0: not sent
        self._written: dict[int, list[int]] = {}  # by an attempt's first number: what stands in probes, by TTL
        self._open = 0
        self._due = time.monotonic()
        self.answers: list[dict[int, Answer]] = [{} for _ in ends]
        self.errors: dict[int, int] = {}
        self.reach = [_TTLS] * self._count
        self.packets = self.copies = self.slowest = 0

    def fire(self, probes: Probes, attempt: int) -> Wait:
        """Send probes, as fast as the rate and the budget allow; ``attempt``: 0 the first time, at most 15.

        Raises BudgetExhausted, CannotMeasure where this machine's own queue stays full.
        """
        rates, errors, first = self._rates, self.errors, self._tag + attempt * _TTLS
        while len(self._sent) <= attempt:
            self._sent.append(array("q", bytes(8 * self._count * (self._most + 1))))
        at = 0
        while at < len(probes):
            row = probes[at : at + self._row]
            allowed, delay = self._gate.take([rates[end] for end, _ in row], HEADERS)
            row = row[:allowed]
            at += allowed
            self._write(row, first)
            left = [one for one in row if one[0] not in errors] if errors else row
            yield from self._leave(left, attempt)
            self._ring.drain(self._take)
            self._due = max(self._due, time.monotonic() - _EVERY) + allowed * self._each
            yield max(delay, self._due - time.monotonic(), 0.0)  # even a late one lets others have their turn

    def listen(self, seconds: float) -> Wait:
        """Wait for answers until all that was sent has one, or so many seconds are over."""
        last = begun = time.monotonic()
        while True:
            now = time.monotonic()
            if self._ring.drain(self._take):
                last = now
            if self._open <= 0 or now - begun >= seconds:
                return
            yield min(max(_LOOK[0], (now - last) / 8), _LOOK[1])

    def lost(self) -> int:
        """Packets for which the capture had no room since the last call."""
        return self._ring.dropped()

    def _write(self, row: Probes, first: int) -> None:
        """Put TTL and number into the templates."""
        buffer, size, pack = self._burst.buffer, self._burst.size, struct.Struct(">I").pack_into
        ttl_at, number_at = self._shape.ttl, self._shape.number
        written = self._written.get(first)
        if written is None:
            written = self._written[first] = [numbered(first + ttl & 0xFFFF) for ttl in range(self._most + 1)]
        for end, ttl in row:
            start = end * size
            buffer[start + ttl_at] = ttl
            pack(buffer, start + number_at, written[ttl])

    def _leave(self, row: Probes, attempt: int) -> Wait:
        """Send what is written: neighbours in the burst with one call."""
        start, patience = 0, Patience()
        while start < len(row):
            base = row[start][0]
            stop = start + 1
            while stop < len(row) and row[stop][0] == base + stop - start:
                stop += 1
            before = self._stamp()
            try:
                count = self._burst.send(base, stop - start)
            except OSError as error:
                self.errors[base] = error.errno or 0
                start += 1
                continue
            self._note(row[start : start + count], attempt, before, self._stamp())
            start += count
            if not count:
                patience.lose()
                yield _LOOK[0]

    def _note(self, row: Probes, attempt: int, before: int, after: int) -> None:
        """Remember when each left."""
        self.packets += len(row)
        sent, count, reach, first = self._sent[attempt], self._count, self.reach, not attempt
        for (end, ttl), left in zip(row, self._departures.of(before, after, len(row)), strict=False):
            sent[ttl * count + end] = left
            if first and ttl <= reach[end]:
                self._open += 1

    def _take(self, ns: int, memory: Memory, at: int, length: int) -> None:
        heard = read(memory, at, length, self._own)
        if heard is None:
            return
        key, number, said, who, ttl, code = heard
        end = self._index.get(key)
        slot = (number - self._tag) & 0xFFFF
        attempt, sent_with = slot >> 8, slot & 0xFF
        if end is None or attempt >= len(self._sent) or sent_with > self._most:
            return  # whatever that is, it is not about a probe of ours
        after = ns - self._sent[attempt][sent_with * self._count + end]
        if after == ns:
            return
        if said != "expired" and said != "unreachable":  # nothing that a router says
            self._arrived(end, sent_with)
            if said == "open":
                self._gate.spend(self._rates[end], 1, HEADERS)  # the kernel refuses the connection by a RST
        answers = self.answers[end]
        if sent_with in answers:
            self.copies += 1
            return
        if sent_with <= self.reach[end]:
            self._open -= 1
        if after > self.slowest:
            self.slowest = after
        answers[sent_with] = Answer(said, who, ttl, after, code)

    def _arrived(self, end: int, ttl: int) -> None:
        """A far end is so near: answers to probes at higher TTLs are not waited for (a server that has been sent
        several SYNs answers the first alone)."""
        answers, sent, count = self.answers[end], self._sent[0], self._count
        for beyond in range(ttl + 1, min(self.reach[end], self._most) + 1):
            if sent[beyond * count + end] and beyond not in answers:
                self._open -= 1
        self.reach[end] = min(self.reach[end], ttl)
