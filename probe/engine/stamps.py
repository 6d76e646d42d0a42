"""Whether the kernel stamps packets yet.

Linux stamps packets only while somebody wants it. The first to ask switches that on, but a worker of the kernel does
the switching, a moment later (``net_enable_timestamp`` in net/core/dev.c); on a busy machine the moment lasts
milliseconds. A packet of that moment bears no stamp and gets one when it is *read*: seen that way, a question left when
its answer was nearly there, and a round trip looks shorter than it was. So nothing is sent before stamps are on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time

SO_TIMESTAMPNS = 35
"""socket(7): ask for the stamps, in nanoseconds."""
TIMESPEC = struct.Struct("@ll")
"""How a stamp is told: seconds and nanoseconds since the epoch."""
_LIMIT, _TURN = 0.1, 0.0005  # seconds


def want(sock: socket.socket) -> None:
    """Ask for stamps on what a socket receives, and wait until the kernel gives them (at most 0.1 s).

    Tried with datagrams to this process over loopback. Where there is no loopback the whole time is waited.
    """
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    end = time.monotonic() + _LIMIT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        own.setblocking(False)
        with contextlib.suppress(OSError):
            own.bind(("127.0.0.1", 0))
        while not _given(own) and time.monotonic() < end:
            time.sleep(_TURN)  # the kernel's worker may need this very core


def _given(own: socket.socket) -> bool:
    """Whether a datagram was stamped on its way, before it was read."""
    try:
        own.sendto(b"", own.getsockname())
        read = time.time_ns()
        ancillary = own.recvmsg(1, 64)[1]
    except OSError:
        return False
    seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2][: TIMESPEC.size])
    return int(seconds) * 1_000_000_000 + int(nanoseconds) <= read
