"""The reflector's sockets: datagrams with their TTL and TOS, connections with the SYN that opened them."""

from __future__ import annotations

import contextlib
import socket
import struct

from probe.model.errors import MalformedPacket
from probe.model.packet import Tcp
from probe.model.reflector import Syn
from probe.reflector import filters
from probe.reflector.core import Came, Reply
from probe.wire import ip

_TCP_SAVE_SYN, _TCP_SAVED_SYN = 27, 28  # linux/tcp.h
_IP_RECVTTL = 12  # linux/in.h
_SYN_ACKS = 1  # repeats of an unanswered SYN-ACK: as few as Linux lets one choose
_BACKLOG = 256
_BUFFER = 4 << 20
_MOST = 65535


def family(address: str) -> socket.AddressFamily:
    """Address family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _bound(address: str, port: int, kind: socket.SocketKind, code: bytes = b"") -> socket.socket:
    sock = socket.socket(family(address), kind)
    try:
        sock.setblocking(False)
        if code:
            filters.attach(sock, code)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def datagrams(address: str, port: int) -> socket.socket:
    """A UDP socket that tells TTL and TOS of what it takes. Raises OSError."""
    sock = _bound(address, port, socket.SOCK_DGRAM)
    if ":" in address:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    return sock


def listener(address: str, port: int) -> socket.socket:
    """A TCP listener that keeps the SYNs of its connections. Raises OSError."""
    sock = _bound(address, port, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_SAVE_SYN, 1)
    # Whoever forges a source makes us send to it: no more than we must.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, _SYN_ACKS)
    sock.listen(_BACKLOG)
    return sock


def silent(address: str, port: int) -> list[socket.socket]:
    """Sockets that take what comes for a port, UDP and TCP, and say nothing. Raises OSError."""
    sink = _bound(address, port, socket.SOCK_DGRAM, filters.NOTHING)
    try:
        return [sink, *_deaf(address, port)]
    except OSError:
        sink.close()
        raise


def _deaf(address: str, port: int) -> list[socket.socket]:
    """A listener that answers no SYN."""
    try:
        sock = _bound(address, port, socket.SOCK_STREAM, filters.NOTHING)
        sock.listen(1)
        return [sock]
    except PermissionError:  # newer kernels want CAP_NET_ADMIN for TCP
        sock = _bound(address, port, socket.SOCK_STREAM)
    # A listener whose queue is full drops SYNs: one connection of our own fills the queue of a single place.
    own = socket.socket(family(address), socket.SOCK_STREAM)
    own.setblocking(False)
    try:
        sock.listen(0)
        own.bind((address, 0))
        own.connect_ex((address, port))
    except OSError:
        sock.close()
        own.close()
        raise
    return [sock, own]


def take(sock: socket.socket, address: str, port: int) -> Came | None:
    """The next datagram, None if there is none now."""
    try:
        data, extra, _, source = sock.recvmsg(_MOST, 128)
    except BlockingIOError:
        return None
    except OSError:  # an ICMP error about something that was sent
        return None
    ttl = tos = None
    for level, kind, value in extra:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
            ttl = struct.unpack("@i", value[:4])[0]
        elif (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
            tos = value[0]
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_TCLASS):
            tos = struct.unpack("@i", value[:4])[0]
    return Came(data, source[0].partition("%")[0], source[1], address, port, ttl, tos)


def send(sock: socket.socket, reply: Reply, came: Came) -> None:
    """Send a datagram back. What doesn't fit the queue is lost, as on any network."""
    extra: list[tuple[int, int, bytes]] = []
    if reply.tos:
        level, kind = (
            (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if ":" in came.address else (socket.IPPROTO_IP, socket.IP_TOS)
        )
        extra = [(level, kind, struct.pack("@i", reply.tos))]
    with contextlib.suppress(OSError):
        sock.sendmsg([reply.data], extra, 0, (came.source, came.source_port))


def saved_syn(sock: socket.socket) -> Syn | None:
    """The SYN that opened a connection, None where the kernel did not keep it."""
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, _TCP_SAVED_SYN, 512)
        packet = ip.decode(raw)
    except (OSError, MalformedPacket):
        return None
    if not isinstance(packet.header, Tcp):
        return None
    return Syn(
        ttl=packet.ttl, tos=packet.tos, length=packet.length, ident=packet.ident, dont_fragment=packet.dont_fragment,
        window=packet.header.window, flags=packet.header.flags, options=packet.header.options,
    )  # fmt: skip
