"""What work by the thousand needs of this machine: ways out, a port, a ring, and sockets to send with."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from probe.engine import bpf, privilege, sockets
from probe.engine.bulk.burst import Burst
from probe.engine.bulk.frames import SHAPES, Kind, template
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.volley import Volley
from probe.engine.interfaces import Own
from probe.engine.ports import MASK, Ports
from probe.engine.ring import Ring
from probe.model.errors import ForbiddenDestination, NoRoute

_LIBC = ctypes.CDLL(None, use_errno=True)
_MESSAGE = 1024  # bytes of a frame for DNS over UDP without EDNS: messages are of 512 bytes at most
_NOWHERE = struct.pack("@H14x", socket.AF_UNSPEC)

End = tuple[str, int]
"""A far end: address and port (0 where there are none)."""


class Way(msgspec.Struct, frozen=True):
    """A way out of this machine: IP version, source address, interface."""

    version: int
    source: str
    interface: str


class Line:
    """The line, for work by the thousand. ``rate``: most packets a second."""

    def __init__(self, gate: Gate, own: Own, chance: Random, rate: int, interface: str = "") -> None:
        self.gate, self.rate = gate, rate
        self._own, self._chance, self._interface = own, chance, interface

    def ways(self, addresses: Sequence[str]) -> dict[Way, list[int]]:
        """The places of addresses in the list, by the way that the kernel chooses to them. Sends nothing.

        Raises ForbiddenDestination for this machine itself, NoRoute where there is none.
        """
        found: dict[Way, list[int]] = {}
        known: dict[tuple[int, str], Way] = {}
        with contextlib.ExitStack() as stack:
            feelers: dict[int, socket.socket] = {}
            for i, address in enumerate(addresses):
                family = sockets.family(address)
                if family not in feelers:
                    feelers[family] = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                    try:
                        sockets.bind_device(feelers[family], self._interface)
                    except OSError as error:
                        why = f"can't send on interface {self._interface!r}: {error.strerror}"
                        raise NoRoute(why) from None
                source = _source(feelers[family], address)
                way = known.get((family, source))
                if way is None:
                    way = known[family, source] = self._way(family, source, address)
                found.setdefault(way, []).append(i)
        return found

    @contextlib.contextmanager
    def volley(self, way: Way, kind: Kind, ends: Sequence[End], most: int) -> Iterator[Volley]:
        """A volley to far ends over one way, with TTLs up to ``most``. Raises as :class:`Volley`, :class:`Ring` and
        :func:`privilege.raw` do, and CannotMeasure when no port is left."""
        ports = Ports(self._chance)
        with contextlib.ExitStack() as stack:
            own = stack.enter_context(self._port(ports, way))
            ring = Ring(way.interface, bpf.assemble(ports.base, MASK))
            stack.callback(ring.close)
            # Whole IP packets: the kernel routes them, fills in an IPv4 header's checksum, and takes care of what lies
            # below, whatever that is: cable, radio, PPP, a tunnel, a modem without Ethernet headers.
            family = socket.AF_INET6 if way.version == 6 else socket.AF_INET
            sender = privilege.raw(family, socket.IPPROTO_RAW, self._interface)
            stack.callback(sender.close)
            packets = b"".join(template(kind, way.source, address, own, port) for address, port in ends)
            burst = Burst(sender, packets, SHAPES[way.version, kind].size, [address for address, _ in ends])
            yield Volley(burst, ring, self.gate, kind, way.version, own, ends, self.number(), self.rate, most)

    @contextlib.contextmanager
    def flow(self, way: Way, address: str, port: int) -> Iterator[tuple[int, socket.socket, Ring]]:
        """A flow of datagrams: its local port, a socket that only sends, and what comes back. Raises as above."""
        ports = Ports(self._chance)
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(sockets.family(address), socket.SOCK_DGRAM))
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
        with socket.socket(socket.AF_INET6 if way.version == 6 else socket.AF_INET, socket.SOCK_STREAM) as holder:
            yield ports.bind(holder, way.source)

    def _way(self, family: int, source: str, address: str) -> Way:
        if source == address:
            raise ForbiddenDestination(f"{address} is this machine itself")
        name = self._interface
        if not name:
            with contextlib.suppress(OSError):
                name = socket.if_indextoname(self._own.index.get(source, 0))
        if not name:
            raise NoRoute(f"no interface holds {source}, the source address towards {address}")
        return Way(6 if family == socket.AF_INET6 else 4, source, name)


def _source(feeler: socket.socket, address: str) -> str:
    """Source address towards another, by a socket that is connected anew: without a word on the line."""
    _LIBC.connect(feeler.fileno(), _NOWHERE, len(_NOWHERE))  # it forgets the source that it had
    try:
        feeler.connect((address, 9))
    except OSError as error:
        why = errno.errorcode.get(error.errno or 0, str(error))
        raise NoRoute(
            f"no route to {address} ({why})", "is the cable in, and does the line work? `colibri doctor` looks closer"
        ) from None
    source = str(feeler.getsockname()[0])
    if source == address:
        raise ForbiddenDestination(f"{address} is this machine itself")
    return source


