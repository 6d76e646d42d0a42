"""A capture that the kernel writes into memory of ours: TPACKET_V2 (packet(7); Linux, packet_mmap.rst).

Each packet is there at once, with the kernel's time stamp, without a system call; and the ring holds thousands where a
socket's own queue holds some hundreds without CAP_NET_ADMIN. To make and to drop one takes the kernel 10 to 30 ms (it
waits until every processor has let go of the socket), so it is for jobs of many packets.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

from probe.engine import bpf, privilege
from probe.model.errors import CannotMeasure, NoRoute

FRAME = 256
"""Bytes that a frame holds: headers of the ring's own (80), and what is kept of the packet."""
_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 5, 6, 10, 23
_TPACKET_V2 = 1
_BLOCK = 1 << 16
_USER = 1  # TP_STATUS_USER: the frame is ours
_HEADER = struct.Struct("@8xI2xHII")  # struct tpacket2_hdr: of status, len, snaplen, mac, net, sec, nsec all but three

Take = Callable[[int, mmap.mmap, int, int], None]
"""Called with (kernel time in nanoseconds since the epoch, memory, where the IP packet begins in it, bytes kept)."""


class Ring:
    """Incoming packets of an interface that pass a filter; what goes out is not captured."""

    def __init__(self, interface: str, code: bytes, frames: int = 4096, frame: int = FRAME) -> None:
        """``code``: of :func:`probe.engine.bpf.assemble`, attached before anything can come in. ``frames`` of
        ``frame`` bytes; both powers of two, and together no less than 64 KiB.

        Raises NoPermission without CAP_NET_RAW, NoRoute where there is no such interface, CannotMeasure where this
        process has no descriptors left, or the kernel no memory or no such ring.
        """
        self._socket = privilege.packet()
        self._frame, self._frames, self._at = frame, frames, 0
        try:
            bpf.attach(self._socket, code)
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            size = frames * frame
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, struct.pack("@IIII", _BLOCK, size // _BLOCK, frame, frames))
            self._memory = mmap.mmap(self._socket.fileno(), size)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise CannotMeasure(f"the kernel makes no ring to capture in: {error.strerror}") from None
        self._status = memoryview(self._memory).cast("I")
        try:
            self._socket.bind((interface, _ETH_P_ALL))
        except OSError as error:
            self.close()
            raise NoRoute(f"can't capture on interface {interface!r}: {error.strerror}") from None

    def fileno(self) -> int:
        """Of the socket: it can be read from (select) when there is something to :meth:`drain`."""
        return self._socket.fileno()

    def drain(self, take: Take) -> int:
        """Hand all that is there to ``take``, each before its place is given back; returns how many."""
        status, memory, unpack = self._status, self._memory, _HEADER.unpack_from
        frame, frames, at = self._frame, self._frames, self._at
        step = frame // 4
        count = 0
        while status[at * step] & _USER:
            start = at * frame
            kept, network, seconds, nanoseconds = unpack(memory, start)
            take(seconds * 1_000_000_000 + nanoseconds, memory, start + network, kept)
            status[at * step] = 0
            at = at + 1 if at + 1 < frames else 0
            count += 1
        self._at = at
        return count

    def dropped(self) -> int:
        """Packets for which there was no room since the last call (packet(7), PACKET_STATISTICS)."""
        return int(struct.unpack("@II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1])

    def close(self) -> None:
        """Capture no more."""
        self._status.release()
        self._memory.close()
        self._socket.close()
