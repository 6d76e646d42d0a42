"""What the steps of one run share: routes, ports, budget, raw sockets, and what the capture hears."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from probe.engine import sockets
from probe.engine.bpf import attach_drop_all
from probe.engine.clock import Timeline
from probe.engine.guard import Guard
from probe.engine.intake import Intake
from probe.engine.interfaces import Feeler, Own
from probe.engine.observe import Record, transport
from probe.engine.pace import Pace
from probe.engine.ports import Ports
from probe.engine.raw import RawSender
from probe.model.errors import NoRoute
from probe.model.exchange import FULL_TTL, EchoStep, Failure, PauseStep, Step, StreamStep, SynStep, UdpStep
from probe.model.outcome import Entry
from probe.model.packet import Flags, Tcp
from probe.wire.scrub import Scrubber

_DRAIN_EVERY = 64  # packets of a burst: without CAP_NET_ADMIN the capture's queue holds a few hundred

Shared = UdpStep | StreamStep | SynStep | EchoStep
"""Steps whose flow one socket holds for the whole run."""


class Bench:
    """One run's means. ``intake`` is there once the capture is on: use it as a context manager."""

    intake: Intake

    def __init__(
        self, *, guard: Guard, pace: Pace, own: Own, scrubber: Scrubber, ports: Ports, raw: RawSender,
        timeline: Timeline, interface: str = "", authorities: str = "",
    ) -> None:  # fmt: skip
        self.guard, self.pace, self.scrubber = guard, pace, scrubber
        self.ports, self.raw, self.interface, self.timeline = ports, raw, interface, timeline
        self.authorities = authorities
        self._own, self._feeler = own, Feeler(own, interface)
        self._flows: dict[tuple[object, ...], tuple[socket.socket, int]] = {}
        self._sources: dict[str, str] = {}
        self._captured: set[str] = set()  # source addresses whose interfaces are
        self._kept: dict[tuple[str, int, str], int] = {}
        self._turns: dict[tuple[str, int, str], asyncio.Lock] = {}
        self._names = dict(socket.if_nameindex())
        self._sent = 0

    def open(self) -> None:
        """Begin: nothing is captured before :meth:`route`."""
        self.intake = Intake(self.scrubber, self.ports.base, self.timeline)

    def close(self) -> None:
        """Close all that is open."""
        self._feeler.close()
        self.intake.close()
        for sock, _port in self._flows.values():
            sock.close()
        self.raw.close()

    def route(self, address: str) -> str:
        """Source address towards a destination; makes sure that its interface is captured.

        Raises ForbiddenDestination for this machine itself, NoRoute and NoPermission.
        """
        source = self._sources.get(address)
        if source is None:
            way = self._feeler.way(address)
            source = way.source
            if source not in self._captured:
                self.intake.listen(way.interface)
                if not self.interface:
                    for sibling in self._own.siblings(source) & self._names.keys():
                        with contextlib.suppress(NoRoute):  # it has gone: then nothing comes in by it
                            self.intake.listen(self._names[sibling])
                self._captured.add(source)
            self._sources[address] = source
        return source

    def port_of(self, step: Shared) -> int:
        """The local port of the step's flow: one socket holds it for the whole run, and receives nothing itself.

        Raises CannotMeasure when no port is left, OSError for trouble of this machine.
        """
        name = self._flow_name(step)
        if name in self._flows:
            return self._flows[name][1]
        datagrams = isinstance(step, UdpStep | StreamStep)
        kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(sockets.family(step.address), kind))
            sock.setblocking(False)
            if datagrams:  # a TCP socket that is only bound receives nothing; newer kernels want CAP_NET_ADMIN for it
                attach_drop_all(sock)
            local = self.ports.bind(sock, self._sources[step.address])
            if isinstance(step, UdpStep | StreamStep):
                sockets.bind_device(sock, self.interface)
                sock.connect((step.address, step.port))
            stack.pop_all()
        self._flows[name] = sock, local
        self.intake.open((transport(step), local))
        return local

    def socket_of(self, step: UdpStep | StreamStep) -> socket.socket:
        """The socket of a flow whose port is known."""
        return self._flows[self._flow_name(step)][0]

    def bind(self, sock: socket.socket, source: str, name: tuple[str, int, str] | None) -> int:
        """Bind a TCP socket to a fresh port; with a ``name``, to the one that earlier connections of that name had.

        Raises CannotMeasure when no port is left, OSError where a port that was used is not free.
        """
        known = self._kept.get(name) if name else None
        if known is not None:
            sock.bind((source, known))
            return known
        port = self.ports.bind(sock, source)
        if name:
            self._kept[name] = port
        return port

    @contextlib.asynccontextmanager
    async def turn(self, address: str, port: int, flow: str) -> AsyncIterator[None]:
        """Connections of one flow are made one after the other."""
        if not flow:
            yield
            return
        async with self._turns.setdefault((address, port, flow), asyncio.Lock()):
            yield

    def _flow_name(self, step: Shared) -> tuple[object, ...]:
        # Bare SYNs and echoes have no socket that knows the far end: a flow's port serves all addresses: a company may
        # have more of them than there are ports.
        if isinstance(step, UdpStep | StreamStep):
            return transport(step), step.address, step.port, step.flow
        return transport(step), self._sources[step.address], step.flow

    def sent(self) -> None:
        """One packet has left: now and then take what was captured meanwhile."""
        self._sent += 1
        if not self._sent % _DRAIN_EVERY:
            self.intake.drain()

    def done(self, step: Step, port: int, began: int, failure: Failure = "", note: str = "") -> Entry:
        """What the log says of a step that ends now."""
        return Entry(step=step, port=port, began=began, ended=self.timeline.now(), failure=failure, note=note)

    def settle_up(self, entry: Entry, packets: int, octets: int) -> None:
        """The kernel also sends what nobody asked for: retransmissions, acknowledgements. They count all the same.

        ``packets`` and ``octets`` were paid for. Once counted, bare acknowledgements of ours are forgotten: that the
        kernel sent them says nothing about the line, and evidence has to fit into a message of the feed.
        """
        step = entry.step
        if isinstance(step, PauseStep):
            return
        heard = self.intake.of((transport(step), entry.port))
        sent = [record for record in heard if record.outgoing and entry.began <= record.ns <= entry.ended]
        more = len(sent) - packets
        if more > 0:
            self.pace.spend(step.address, more, max(0, sum(len(record.data) for record in sent) - octets))
        self.intake.forget((transport(step), entry.port), filter(_acknowledges, sent))


def _acknowledges(record: Record) -> bool:
    """Whether all that a packet does is to acknowledge, at full length (others were sent to name routers)."""
    packet = record.packet
    header = packet.header
    bare = isinstance(header, Tcp) and header.flags == Flags.ACK and not packet.payload
    return bare and packet.ttl == FULL_TTL
