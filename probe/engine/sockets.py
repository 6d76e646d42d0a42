"""What the kernel's own sockets are told: TTLs, the end of a flow; and what their errors mean."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.model.exchange import Failure

FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
"""A queue of this machine is full for the moment."""
TOLD = frozenset({
    errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET,
    errno.EACCES, errno.EPROTO, errno.EMSGSIZE,
})  # fmt: skip
"""What sending on a connected socket for datagrams may fail with because of an ICMP error about an earlier one: then
nothing was sent, and the next attempt may work (linux: icmp_err_convert, icmpv6_err_convert). Faults of this machine's
own stay."""
ATTEMPTS = 10
"""Times that sending is tried."""
_PATIENCE = 0.01  # seconds between two attempts

_SEGS_OUT = 136  # offset in struct tcp_info


def family(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def header_fields(of: int, ttl: int, tos: int = 0) -> list[tuple[int, int, bytes]]:
    """Ancillary data for one packet's TTL (hop limit: RFC 3542, section 6.3) and TOS (traffic class: 6.5) on a socket
    of family ``of``."""
    six = of == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    fields = [(level, socket.IPV6_HOPLIMIT if six else socket.IP_TTL, struct.pack("@i", ttl))]
    if tos:
        fields.append((level, socket.IPV6_TCLASS if six else socket.IP_TOS, struct.pack("@i", tos)))
    return fields


def send_datagram(sock: socket.socket, payload: bytes, fields: list[tuple[int, int, bytes]]) -> None:
    """Send on a connected socket, whatever came back about earlier datagrams. Raises OSError."""
    for _ in range(ATTEMPTS - 1):
        try:
            sock.sendmsg([payload], fields)
        except OSError as error:
            if error.errno not in TOLD:
                raise
        else:
            return
    sock.sendmsg([payload], fields)


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """TTL of all that the socket sends from now on."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def set_tos(sock: socket.socket, tos: int) -> None:
    """TOS (traffic class) of all that a TCP socket sends; the kernel keeps its two ECN bits for itself."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)


def bind_device(sock: socket.socket, interface: str) -> None:
    """Tie a socket to an interface; "": to none. Raises OSError where there is no such interface."""
    if interface:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that the kernel holds until the far end acknowledges them (tcp(7), SIOCOUTQ). Raises OSError."""
    return int(struct.unpack("@i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0])


def segments_sent(sock: socket.socket) -> int:
    """TCP segments that a connection has sent so far, whatever they held (``tcpi_segs_out``, linux/tcp.h).

    Raises OSError; 0 where the kernel is older than 4.2.
    """
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SEGS_OUT + 4)
    return int(struct.unpack_from("@I", info, _SEGS_OUT)[0]) if len(info) >= _SEGS_OUT + 4 else 0


def abort(sock: socket.socket) -> None:
    """End a TCP flow with one RST at full TTL instead of FINs that are sent again and again."""
    from probe.model.exchange import FULL_TTL  # here: work by the thousand knows no steps, and their types cost

    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        set_ttl(sock, FULL_TTL)
    sock.close()


async def patiently(send: Callable[[], object]) -> None:
    """Call ``send``; where a queue of this machine is full, again a little later. Raises OSError if it stays full."""
    import asyncio  # here, for who uses this module without a loop: it is a third of such a command's start

    for _ in range(ATTEMPTS - 1):
        try:
            send()
        except OSError as error:
            if error.errno not in FULL:
                raise
            await asyncio.sleep(_PATIENCE)
        else:
            return
    send()


def connect_failure(error: OSError) -> tuple[Failure, str]:
    """Why a handshake failed, and in which words of the kernel."""
    if isinstance(error, ConnectionRefusedError):
        return "refused", ""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timeout", ""
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPROTO):
        return "unreachable", explain(error)
    if isinstance(error, ConnectionResetError):
        return "refused", "reset during the handshake"
    return "error", explain(error)


def explain(error: OSError) -> str:
    """The kernel's name of an error, such as EMFILE."""
    return errno.errorcode.get(error.errno or 0, str(error))
