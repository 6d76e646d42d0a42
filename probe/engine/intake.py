"""From the capture to the run: what belongs to its flows is scrubbed, decoded, kept, and shown to whoever waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from probe.engine.capture import Capture
from probe.engine.clock import Timeline
from probe.engine.observe import Record, Watch, local_port
from probe.engine.ports import MASK
from probe.model.errors import MalformedPacket
from probe.model.exchange import Step
from probe.wire import ip
from probe.wire.scrub import Scrubber

_MOST_BYTES = 32 << 20  # of packets kept in one run: a flood on one of its flows must not fill a Pi's memory
_BULK, _HEAD = 1000, 100  # bytes of a packet of a quiet flow: more are filling, of which so many are kept
_LATE = 16  # packets of a quiet flow that are kept after its end
_OPENING = 300  # bytes of an incoming packet of a sealed flow that are kept: whoever has no keys can't read the rest
_TWIN = 50_000_000  # nanoseconds within which a packet passes all interfaces of a stack (bridge, VLAN)

Key = tuple[int, int]
"""A flow: (protocol, local port or echo identifier)."""


class Waiter:
    """Somebody who waits, from ``since`` on (nanoseconds), for a packet that settles a step.

    ``heard_at``: when the last such packet came; 0: none has.
    """

    def __init__(self, step: Step, since: int) -> None:
        self.watch = Watch(step)
        self.since = since
        self.settled = asyncio.Event()
        self.heard_at = 0

    async def listen(self, wait: float, linger: float) -> None:
        """Until ``wait`` seconds are over, or ``linger`` seconds after the first packet that settles the step."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self.settled.wait()
            if linger:
                await asyncio.sleep(linger)


class _Quiet:
    """A flow that is kept quiet: how many of its packets may still pass, the latest of the others, and whether that is
    over."""

    __slots__ = ("first", "last", "over", "protocol")

    def __init__(self, protocol: int, first: int, last: deque[tuple[int, bool, bytearray, str]]) -> None:
        self.protocol, self.first, self.last, self.over = protocol, first, last, False


class Intake:
    """Everything that was heard in one run. ``records``: its packets, as captured. ``malformed``: how many of its block
    of ports could not be read; ``overflow``: how many found no room."""

    def __init__(self, scrubber: Scrubber, base: int, timeline: Timeline) -> None:
        self._scrubber = scrubber
        self._capture = Capture(base, MASK, self._take, timeline)
        self._flows: dict[Key, list[Record]] = {}
        self._via: dict[Key, list[str]] = defaultdict(list)
        self._waiters: dict[Key, list[Waiter]] = defaultdict(list)
        self._quiet: dict[int, _Quiet] = {}
        self._sealed: set[Key] = set()
        self._bytes = 0
        self.records: list[Record] = []
        self.malformed = self.overflow = 0

    def open(self, key: Key) -> None:
        """From now on, keep the packets of a flow."""
        self._flows.setdefault(key, [])

    def of(self, key: Key) -> list[Record]:
        """The packets of a flow so far, in order of time (queues of several interfaces come in no order)."""
        return sorted(self._flows.get(key, ()), key=lambda record: record.ns)

    def forget(self, key: Key, gone: Iterable[Record]) -> None:
        """Packets of a flow that something else tells of from now on."""
        gone = list(gone)
        if not gone:
            return
        names = {id(record) for record in gone}
        kept = [(r, v) for r, v in zip(self._flows[key], self._via[key], strict=True) if id(r) not in names]
        self._flows[key], self._via[key] = [r for r, _ in kept], [v for _, v in kept]
        self.records = [record for record in self.records if id(record) not in names]
        self._bytes -= sum(len(record.data) for record in gone)

    def listen(self, interface: str) -> None:
        """Capture on an interface too. Raises as :meth:`Capture.listen`."""
        self._capture.listen(interface)

    def drain(self) -> None:
        """Take what the kernel has captured."""
        self._capture.drain()

    @contextlib.contextmanager
    def waiter(self, key: Key, step: Step, since: int) -> Iterator[Waiter]:
        """Somebody who waits for an answer to ``step`` on a flow."""
        waiter = Waiter(step, since)
        self._waiters[key].append(waiter)
        try:
            yield waiter
        finally:
            self._waiters[key].remove(waiter)

    @contextlib.contextmanager
    def quiet(self, key: Key, first: int, last: int) -> Iterator[None]:
        """Of a flow that carries a great deal, keep the first and the last packets only, and of its large packets the
        head: the rest is not even decoded, and nobody can wait for it. Of what still comes afterwards (a whole window,
        and the kernel's refusals of it) the first few are kept, of large packets the head."""
        quiet = self._quiet[key[1]] = _Quiet(key[0], first, deque(maxlen=last))
        try:
            yield
        finally:
            self.drain()
            quiet.first, quiet.over = len(quiet.last) + _LATE, True
            for packet in quiet.last:
                self._take(*packet)

    @contextlib.contextmanager
    def sealed(self, key: Key) -> Iterator[None]:
        """Of the incoming packets of a flow that is encrypted, keep the head."""
        self._sealed.add(key)
        try:
            yield
        finally:
            self.drain()
            self._sealed.discard(key)

    def dropped(self) -> int:
        """Packets lost on the way from the line to :attr:`records` since the last call."""
        overflow, self.overflow = self.overflow, 0
        return self._capture.dropped() + overflow

    def close(self) -> None:
        """Stop capturing."""
        self._capture.close()

    def _take(self, ns: int, outgoing: bool, data: bytearray, interface: str) -> None:
        if self._quiet and self._is_quiet(ns, outgoing, data, interface):
            return
        try:
            self._scrubber.scrub(data, outgoing)
            octets = bytes(data)
            packet = ip.decode(octets)
        except MalformedPacket:
            self.malformed += 1
            return
        key = local_port(packet, outgoing)
        if key is None or key not in self._flows:
            return  # inside our block of ports, yet no flow of this run
        if key in self._sealed and not outgoing and len(octets) > _OPENING:
            octets = octets[:_OPENING]
            packet = ip.decode(octets)
        record = Record(ns, outgoing, octets, packet)
        if self._capture.interfaces > 1 and self._is_twin(key, record, interface):
            return
        if self._bytes + len(octets) > _MOST_BYTES:
            self.overflow += 1
            return
        self._bytes += len(octets)
        self._flows[key].append(record)
        self._via[key].append(interface)
        self.records.append(record)
        for waiter in self._waiters.get(key, ()):
            if ns >= waiter.since and waiter.watch.settles(record):
                waiter.settled.set()
                waiter.heard_at = ns

    def _is_quiet(self, ns: int, outgoing: bool, data: bytearray, interface: str) -> bool:
        """Whether a packet's flow has had its first ones: then it is put by. Large packets of such a flow are cut."""
        at = (data[0] & 15) * 4 if data and data[0] >> 4 == 4 else 40
        port = int.from_bytes(data[at : at + 2] if outgoing else data[at + 2 : at + 4], "big")
        quiet = self._quiet.get(port)
        if quiet is None or len(data) < 20 or data[9 if data[0] >> 4 == 4 else 6] != quiet.protocol:
            return False
        if len(data) > _BULK:
            del data[_HEAD:]
        if quiet.first:
            quiet.first -= 1
            return False
        if not quiet.over:
            quiet.last.append((ns, outgoing, data, interface))
        return True

    def _is_twin(self, key: Key, record: Record, interface: str) -> bool:
        """Whether this is a packet that passed another interface of the same stack a moment ago."""
        for kept, via in zip(reversed(self._flows[key]), reversed(self._via[key]), strict=True):
            if record.ns - kept.ns > _TWIN:
                return False
            if via != interface and kept.outgoing == record.outgoing and kept.data == record.data:
                return True
        return False
