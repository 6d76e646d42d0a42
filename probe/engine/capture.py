"""Passive capture beside the kernel's sockets: own flows only, raw IP, kernel time stamps, no link headers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from probe.engine import bpf, privilege, stamps
from probe.engine.clock import Timeline
from probe.model.errors import NoRoute

_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER = 4 << 20
_SNAPLEN = 65535
_AT_ONCE = 256  # packets handed on before other tasks get their turn: a flood must not stop the clock of a step
_STALE = 16 * _AT_ONCE

OnPacket = Callable[[int, bool, bytearray, str], None]
"""Called with (nanoseconds on the run's time line, outgoing, IP packet, interface)."""


class Capture:
    """Captures on the interfaces it is told of, and hands each packet to ``on_packet`` from the event loop."""

    def __init__(self, base: int, mask: int, on_packet: OnPacket, timeline: Timeline) -> None:
        self._code = bpf.assemble(base, mask)
        self._on_packet = on_packet
        self._timeline = timeline
        self._sockets: dict[str, socket.socket] = {}
        # One for all: to make room for the largest packet anew each time costs ten times what the packet does.
        self._room = bytearray(_SNAPLEN)
        self._lost = 0
        self._loop = asyncio.get_running_loop()

    def listen(self, interface: str) -> None:
        """Begin to capture on an interface, if that is not done yet.

        Raises NoPermission without CAP_NET_RAW, NoRoute where the interface does not exist, CannotMeasure where this
        process has no descriptors left.
        """
        if interface in self._sockets:
            return
        sock = privilege.packet()
        try:
            bpf.attach(sock, self._code)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)  # as far as rmem_max allows
            with contextlib.suppress(OSError):  # needs CAP_NET_ADMIN
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
            stamps.want(sock)
            sock.setblocking(False)
            sock.bind((interface, _ETH_P_ALL))
        except OSError as error:
            sock.close()
            raise NoRoute(f"can't capture on interface {interface!r}: {error.strerror}") from None
        self._sockets[interface] = sock
        self._loop.add_reader(sock, self._hand_on, sock, interface, _AT_ONCE)

    @property
    def interfaces(self) -> int:
        """How many interfaces are captured."""
        return len(self._sockets)

    def drain(self) -> None:
        """Hand on what the kernel has already captured."""
        for interface, sock in self._sockets.items():
            self._hand_on(sock, interface, _STALE)

    def _hand_on(self, sock: socket.socket, interface: str, most: int) -> None:
        timeline, on_packet, unpack = self._timeline, self._on_packet, stamps.TIMESPEC.unpack
        timeline.refresh()
        room = self._room
        for _ in range(most):
            try:
                size, ancillary, _flags, address = sock.recvmsg_into([room], 64)
            except OSError:
                # Nothing more, or the interface went down: its flows time out, which is what a finding should say.
                return
            seconds, nanoseconds = unpack(ancillary[0][2][:16])
            ns = timeline.place(seconds * 1_000_000_000 + nanoseconds)
            on_packet(ns, address[2] == _PACKET_OUTGOING, room[:size], interface)

    def dropped(self) -> int:
        """Packets that the kernel had to drop since the last call (packet(7), PACKET_STATISTICS)."""
        lost, self._lost = self._lost, 0
        for sock in self._sockets.values():
            lost += struct.unpack("II", sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
        return lost

    def close(self) -> None:
        """Stop capturing."""
        self._lost = self.dropped()
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
