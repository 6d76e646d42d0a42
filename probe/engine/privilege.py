"""The sockets that need CAP_NET_RAW: for packets that no kernel socket sends, and to capture."""

from __future__ import annotations

import socket

from probe.engine import sockets
from probe.engine.bpf import attach_drop_all
from probe.model.errors import CannotMeasure, NoPermission


def raw(family: int, protocol: int, interface: str = "") -> socket.socket:
    """A raw socket (raw(7)) that only sends, tied to an interface if one is given; it does not block.

    Raises NoPermission without CAP_NET_RAW, OSError where there is no such interface or no descriptor left.
    """
    try:
        sock = socket.socket(family, socket.SOCK_RAW, protocol)
    except PermissionError:
        raise _refused("send raw packets") from None
    try:
        sock.setblocking(False)
        attach_drop_all(sock)
        sockets.bind_device(sock, interface)
    except OSError:
        sock.close()
        raise
    return sock


def packet() -> socket.socket:
    """A packet socket without link headers (packet(7)), deaf until it is bound: attach its filter before.

    Raises NoPermission without CAP_NET_RAW, CannotMeasure where this process has no descriptors left.
    """
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    except PermissionError:
        raise _refused("capture packets") from None
    except OSError as error:
        raise CannotMeasure(f"can't open a packet socket: {error.strerror}") from None


def _refused(what: str) -> NoPermission:
    return NoPermission(
        f"this process may not {what} (CAP_NET_RAW)",
        "run it as root, or through the daemon: be a member of the group colibri",
    )
