"""Passive capture beside the kernel's sockets: own flows only, raw IP, kernel time stamps, no link headers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from probe.engine import bpf
from probe.model.errors import NoPermission, NoRoute

_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SO_TIMESTAMPNS = 35
_RECEIVE_BUFFER = 4 << 20
_TIMESPEC = struct.Struct("@ll")
_SNAPLEN = 65535

OnPacket = Callable[[int, bool, bytearray], None]
"""Called with (nanoseconds since the epoch, outgoing, IP packet)."""


class Capture:
    """Captures on the interfaces it is told of, and hands each packet to ``on_packet`` from the event loop."""

    def __init__(self, base: int, mask: int, on_packet: OnPacket) -> None:
        self._code = bpf.assemble(base, mask)
        self._on_packet = on_packet
        self._sockets: dict[str, socket.socket] = {}
        self._loop = asyncio.get_running_loop()

    def listen(self, interface: str) -> None:
        """Begin to capture on an interface, if that is not done yet.

        Raises NoPermission without CAP_NET_RAW, NoRoute where the interface does not exist.
        """
        if interface in self._sockets:
            return
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        except PermissionError:
            raise NoPermission(
                "this process may not capture packets (CAP_NET_RAW)",
                "run it as root, or through the daemon: be a member of the group colibri",
            ) from None
        try:
            bpf.attach(sock, self._code)
            with contextlib.suppress(OSError):  # needs CAP_NET_ADMIN; the plain limit serves without
                sock.setsockopt(socket.SOL_SOCKET, 33, _RECEIVE_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            sock.setblocking(False)
            sock.bind((interface, _ETH_P_ALL))
        except OSError as error:
            sock.close()
            raise NoRoute(f"can't capture on interface {interface!r}: {error.strerror}") from None
        self._sockets[interface] = sock
        self._loop.add_reader(sock, self._drain, sock)

    def drain(self) -> None:
        """Hand on what the kernel has already captured."""
        for sock in self._sockets.values():
            self._drain(sock)

    def _drain(self, sock: socket.socket) -> None:
        receive, on_packet, unpack = sock.recvmsg, self._on_packet, _TIMESPEC.unpack
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    data, ancillary, _flags, address = receive(_SNAPLEN, 64)
                except InterruptedError:
                    continue
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        return
                    return  # the interface went down: the flows time out, which is what a finding should say
                if not ancillary:
                    continue
                seconds, nanoseconds = unpack(ancillary[0][2][:16])
                on_packet(seconds * 1_000_000_000 + nanoseconds, address[2] == _PACKET_OUTGOING, bytearray(data))

    def dropped(self) -> int:
        """Packets that the kernel had to drop since the last call (PACKET_STATISTICS)."""
        lost = 0
        for sock in self._sockets.values():
            lost += struct.unpack("II", sock.getsockopt(263, 6, 8))[1]
        return lost

    def close(self) -> None:
        """Stop capturing."""
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
