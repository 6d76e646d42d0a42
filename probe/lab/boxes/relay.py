"""In-path: a link cut in two and joined again in user space, which can hold up, lose, delay and forge packets."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count
from random import Random

from probe.lab.boxes import Inspector
from probe.lab.boxes.frames import FRAME, Ends, open_port, unwrap, wrap
from probe.lab.kinds import Impair
from probe.lab.namespaces import Namespace
from probe.model.packet import Packet

_BATCH = 32  # frames read before other work gets its turn
_HELD = 0.02  # seconds by which a frame chosen for reordering comes late


class _Direction:
    """One direction of a link: a queue ordered by the time at which each frame is due."""

    def __init__(self, impairments: Sequence[Impair], random: Random) -> None:
        self._own = tuple(impairments)
        self._impairments = self._own
        self._random = random
        self._queue: list[tuple[float, int, bytes]] = []
        self._number = count()
        self._last = 0.0
        self._in_burst = [False] * len(impairments)

    def impair(self, how: Impair) -> None:
        """One impairment more, in the place of the last that was added so."""
        self._impairments = (*self._own, how)
        self._in_burst = [False] * len(self._impairments)

    def put(self, frame: bytes, now: float) -> None:
        """Take a frame in: lose it, or say when it is due (perhaps twice). Order holds unless it is to be broken."""
        due, copies, held = now, 1, False
        for number, impairment in enumerate(self._impairments):
            if impairment.loss and self._loses(number, impairment):
                return
            due += impairment.delay + (self._random.uniform(0, impairment.jitter) if impairment.jitter else 0)
            if impairment.duplicate and self._random.random() < impairment.duplicate:
                copies += 1
            if impairment.reorder and self._random.random() < impairment.reorder:
                held = True
        if held:
            due += _HELD
        else:
            due = self._last = max(due, self._last)
        for _ in range(copies):
            heapq.heappush(self._queue, (due, next(self._number), frame))

    def _loses(self, number: int, impairment: Impair) -> bool:
        """Each packet by itself, or in bursts (Gilbert 1960): so long on average, and as many lost in the end."""
        chance = impairment.loss
        if impairment.burst > 1 and chance < 1:
            chance = 1 - 1 / impairment.burst if self._in_burst[number] else chance / impairment.burst / (1 - chance)
        self._in_burst[number] = self._random.random() < chance
        return self._in_burst[number]

    def due(self, now: float) -> list[bytes]:
        """Frames whose time has come."""
        ready = []
        while self._queue and self._queue[0][0] <= now:
            ready.append(heapq.heappop(self._queue)[2])
        return ready

    @property
    def next(self) -> float | None:
        return self._queue[0][0] if self._queue else None


class Relay:
    """Joins ``interfaces`` (client side, server side) in ``namespace``.

    What inspectors emit goes onto the link at once in the direction given, then through the impairments like all else.
    """

    def __init__(
        self, namespace: Namespace, interfaces: tuple[str, str], ends: Ends,
        inspectors: Sequence[Inspector], impairments: Sequence[Impair], random: Random,
    ) -> None:
        self._inspectors = inspectors
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._client, self._server = (open_port(namespace, interface) for interface in interfaces)
        self._queues = {upstream: _Direction(impairments, random) for upstream in (True, False)}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop.add_reader(self._client, self._read, True)
        self._loop.add_reader(self._server, self._read, False)

    def close(self) -> None:
        self._closed = True  # what was emitted with a delay comes too late
        if self._timer is not None:
            self._timer.cancel()
        for port in (self._client, self._server):
            self._loop.remove_reader(port)
            port.close()

    def impair(self, how: Impair) -> None:
        """Make the link worse by this, from now on, both ways."""
        for queue in self._queues.values():
            queue.impair(how)

    def _read(self, upstream: bool) -> None:
        port = self._client if upstream else self._server
        for _ in range(_BATCH):
            try:
                frame = port.recv(FRAME)
            except BlockingIOError:
                break
            passed = self._passed(frame, upstream)
            if passed is not None:
                self._queues[upstream].put(passed, self._loop.time())
        self._flush()

    def _passed(self, frame: bytes, upstream: bool) -> bytes | None:
        """The frame, or what the inspectors made of it."""
        if not self._inspectors or (packet := unwrap(frame)) is None:
            return frame
        changed = False
        for inspector in self._inspectors:
            verdict = inspector.see(packet, upstream, self._emit)
            if verdict is False:
                return None
            if isinstance(verdict, Packet):
                packet, changed = verdict, True
        return wrap(packet, self._ends, upstream) if changed else frame

    def _emit(self, packet: Packet, *, upstream: bool, delay: float = 0.0) -> None:
        frame = wrap(packet, self._ends, upstream)
        self._loop.call_later(delay, self._enqueue, frame, upstream)

    def _enqueue(self, frame: bytes, upstream: bool) -> None:
        self._queues[upstream].put(frame, self._loop.time())
        self._flush()

    def _flush(self) -> None:
        if self._closed:
            return
        now = self._loop.time()
        for upstream, port in ((True, self._server), (False, self._client)):
            for frame in self._queues[upstream].due(now):
                try:
                    port.send(frame)
                except BlockingIOError:
                    break  # the device's queue is full: lost, as on a wire
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = [due for queue in self._queues.values() if (due := queue.next) is not None]
        if waiting:
            self._timer = self._loop.call_at(min(waiting), self._flush)
