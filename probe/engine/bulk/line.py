"""What work by the thousand needs of this machine: ways out, a port, a ring, and sockets to send with."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator, Iterator, Sequence
from random import Random

from probe.engine import bpf, privilege, sockets
from probe.engine.budget import Row
from probe.engine.bulk.burst import Burst
from probe.engine.bulk.frames import SHAPES, Kind, template
from probe.engine.bulk.gate import PORTION, Gate, portions
from probe.engine.bulk.volley import Volley
from probe.engine.interfaces import Feeler, Own, Way
from probe.engine.ports import MASK, Ports
from probe.engine.ring import Ring

_MESSAGE = 1024  # bytes of a frame for DNS over UDP without EDNS: messages are of 512 bytes at most

End = tuple[str, int]
"""A far end: address and port (0 where there are none)."""


class Line:
    """The line, for work by the thousand. ``rate``: most packets a second."""

    def __init__(self, gate: Gate, own: Own, chance: Random, rate: int, interface: str = "") -> None:
        self.gate, self.rate = gate, rate
        self._own, self._chance, self._interface = own, chance, interface

    def ways(self, addresses: Sequence[str]) -> Generator[float, None, dict[Way, list[int]]]:
        """The places of addresses in the list, by the way that the kernel chooses to them. Sends nothing; yields 0.0
        where others may have their turn.

        Raises ForbiddenDestination for this machine itself, NoRoute where there is none.
        """
        found: dict[Way, list[int]] = {}
        with contextlib.closing(Feeler(self._own, self._interface)) as feeler:
            for number, some in enumerate(portions(addresses)):
                for i, address in enumerate(some, number * PORTION):
                    found.setdefault(feeler.way(address), []).append(i)
                yield 0.0
        return found

    def volley(
        self, stack: contextlib.ExitStack, way: Way, kind: Kind, ends: Sequence[End], held: Row, most: int
    ) -> Generator[float, None, Volley]:
        """A volley to far ends over one way, with TTLs up to ``most``; what it holds is let go of with ``stack``.
        Yields 0.0 where others may have their turn.

        Raises as :class:`Volley`, :class:`Ring` and :func:`privilege.raw` do, and CannotMeasure when no port is left.
        """
        ports = Ports(self._chance)
        own = stack.enter_context(self._port(ports, way))
        ring = Ring(way.interface, bpf.assemble(ports.base, MASK))
        stack.callback(ring.close)
        # Whole IP packets: the kernel routes them, fills in an IPv4 header's checksum, and takes care of what lies
        # below, whatever that is: cable, radio, PPP, a tunnel, a modem without Ethernet headers.
        sender = privilege.raw(way.family, socket.IPPROTO_RAW, self._interface)
        stack.callback(sender.close)
        packets = bytearray()
        for some in portions(ends):
            packets += b"".join(template(kind, way.source, address, own, port) for address, port in some)
            yield 0.0
        burst = Burst(sender, packets, SHAPES[way.version, kind].size, [address for address, _ in ends])
        yield 0.0
        return Volley(burst, ring, self.gate, kind, way.version, own, ends, held, self.number(), self.rate, most)

    @contextlib.contextmanager
    def flow(self, way: Way, address: str, port: int) -> Iterator[tuple[int, socket.socket, Ring]]:
        """A flow of datagrams: its local port, a socket that only sends, and what comes back. Raises as above."""
        ports = Ports(self._chance)
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(way.family, socket.SOCK_DGRAM))
            sock.setblocking(False)
            bpf.attach_drop_all(sock)
            own = ports.bind(sock, way.source)
            sockets.bind_device(sock, self._interface)
            sock.connect((address, port))
            ring = Ring(way.interface, bpf.assemble(ports.base, MASK), frame=_MESSAGE)
            stack.callback(ring.close)
            yield own, sock, ring

    def number(self) -> int:
        """16 bits by chance, for numbers to begin with."""
        return self._chance.getrandbits(16)

    @contextlib.contextmanager
    def _port(self, ports: Ports, way: Way) -> Iterator[int]:
        """A local port that nobody else gets meanwhile. What comes to it is received by nobody; whoever answers a SYN
        is refused by the kernel, so that nothing stays half open at the far end."""
        with socket.socket(way.family, socket.SOCK_STREAM) as holder:
            yield ports.bind(holder, way.source)
