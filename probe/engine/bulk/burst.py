"""Many packets with one system call: sendmmsg(2), on buffers that are made once and written into in place."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from probe.engine.sockets import ATTEMPTS, FULL, TOLD
from probe.model.errors import CannotMeasure
from probe.wire.address import address_bytes

MOST = 1024
"""Packets that the kernel takes at most with one call (UIO_MAXIOV)."""
_STUCK = 500  # times that a full queue of this machine is waited for
_SLOWEST = 100_000  # nanoseconds for a packet on the slowest board: for a first call, which has none to compare with
_IOVEC = struct.Struct("@PN")  # struct iovec: base, len
_MMSGHDR = struct.Struct("@PIPNPNi0PI0P")  # struct mmsghdr: name, namelen, iov, iovlen, control, controllen, flags, len
_LIBC = ctypes.CDLL(None, use_errno=True)
_SENDMMSG = _LIBC.sendmmsg
_SENDMMSG.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


class Burst:
    """A row of packets of one size. ``buffer`` holds them one behind the other, ``size`` bytes each; whoever writes
    into it changes what :meth:`send` sends."""

    def __init__(
        self, sock: socket.socket, packets: bytes | bytearray, size: int, addresses: Sequence[str] = ()
    ) -> None:
        """``addresses``: where each packet goes, on a socket that is not connected. Raises MalformedPacket for one that
        is none, ValueError where the numbers do not agree."""
        count = len(packets) // size
        if len(packets) != count * size or (addresses and len(addresses) != count):
            raise ValueError(f"{len(packets)} bytes are not {len(addresses)} packets of {size}")
        self._socket, self.size, self.count = sock, size, count
        self._refused = 0
        self.buffer = bytearray(packets)
        self._names = bytearray(b"".join(map(_sockaddr, addresses)))
        name_size = len(self._names) // count if addresses else 0
        self._vectors = bytearray(_IOVEC.size * count)
        self._headers = bytearray(_MMSGHDR.size * count)
        base, names, vectors = _at(self.buffer), _at(self._names) if addresses else 0, _at(self._vectors)
        for i in range(count):
            _IOVEC.pack_into(self._vectors, i * _IOVEC.size, base + i * size, size)
            name = names + i * name_size
            _MMSGHDR.pack_into(self._headers, i * _MMSGHDR.size, name, name_size, vectors + i * _IOVEC.size,
                               1, 0, 0, 0, 0)  # fmt: skip
        self._first = _at(self._headers)

    def lengthen(self, i: int, length: int) -> None:
        """Packet ``i`` is of so many bytes from now on, at most ``size``."""
        _IOVEC.pack_into(self._vectors, i * _IOVEC.size, _at(self.buffer) + i * self.size, length)

    def send(self, start: int, count: int) -> int:
        """Send ``count`` packets from the ``start``-th on; returns how many left. Fewer: this machine's queue is full,
        or an ICMP error about an earlier packet came back meanwhile.

        Raises OSError where not even the first could.
        """
        for _ in range(ATTEMPTS):
            sent = _SENDMMSG(self._socket.fileno(), self._first + start * _MMSGHDR.size, min(count, MOST), 0)
            if sent >= 0:
                return int(sent)
            number = ctypes.get_errno()
            if number in FULL:
                return 0
            if number not in TOLD:
                break
            self._refused = number
        raise OSError(number, os.strerror(number))

    def refused(self) -> int:
        """On a connected socket: the kernel's number of the last ICMP error that came back, as far as it was told; 0 if
        none did."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or self._refused


class Patience:
    """How often a row was held up by a full queue of this machine: with no cable in, it never drains."""

    def __init__(self) -> None:
        self._times = 0

    def lose(self) -> None:
        """Once more. Raises CannotMeasure the 501st time."""
        self._times += 1
        if self._times > _STUCK:
            raise CannotMeasure("this machine's queue stays full", "is the cable in, and does the line work?")


class Departures:
    """When each packet left that one call sent: the first with the call's start, each next one later by what a packet
    takes at least, as far as the calls so far tell. A process that is held up in the midst of a call says nothing of
    where: so no answer seems older than its question, and no round trip shorter than it was."""

    def __init__(self) -> None:
        self._each = _SLOWEST

    def of(self, before: int, after: int, count: int) -> Iterator[int]:
        """For ``count`` packets, nanoseconds of the call's start and end given. Endless."""
        self._each = min(self._each, (after - before) // (count or 1))
        return itertools.count(before, self._each)


def _sockaddr(address: str) -> bytes:
    """``struct sockaddr_in`` or ``sockaddr_in6``, port 0."""
    raw = address_bytes(address)
    if len(raw) == 4:
        return struct.pack("@HH4s8x", socket.AF_INET, 0, raw)
    return struct.pack("@HHI16sI", socket.AF_INET6, 0, 0, raw, 0)


def _at(buffer: bytearray) -> int:
    """Where a buffer lies. It must not be resized from now on: it is exported to the end of its life."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if buffer else 0
