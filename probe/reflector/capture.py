"""What arrives at this host before any firewall of its own: SYNs, pings and datagrams to served ports.

Only for a moment: each packet becomes a hash of 8 bytes. Needs CAP_NET_RAW.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator

from probe.model.errors import MalformedPacket
from probe.model.packet import Packet
from probe.reflector import filters
from probe.wire import ip

_ETH_P_ALL = 3
_PACKET_HOST = 0  # for this machine, and not on its way out
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_BUFFER = 8 << 20
_SNAP = 2048


class Capture:
    """A packet socket behind a kernel filter. ``addresses``: this host's own. Raises PermissionError."""

    def __init__(self, addresses: Iterable[str], ports: Iterable[int]) -> None:
        self._addresses = frozenset(addresses)
        # Of all interfaces, those to come as well; so it can't be bound after the filter stands, and what queued before
        # is thrown away.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        try:
            self.socket.setblocking(False)
            filters.attach(self.socket, filters.openings(ports))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            with contextlib.suppress(BlockingIOError):
                while self.socket.recv(1):
                    pass
            self.dropped()
        except OSError:
            self.socket.close()
            raise

    def drain(self, most: int = 4096) -> Iterator[Packet]:
        """What has come since the last time."""
        for _ in range(most):
            try:
                data, where = self.socket.recvfrom(_SNAP)
            except OSError:  # nothing more; or the interface went down, which it tells once
                return
            if where[2] != _PACKET_HOST:
                continue
            try:
                packet = ip.decode(data)
            except MalformedPacket:
                continue
            if packet.destination in self._addresses:
                yield packet

    def dropped(self) -> bool:
        """Whether packets went by unseen since the last time that this was asked."""
        raw = self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return bool(struct.unpack("II", raw)[1])

    def close(self) -> None:
        """Stop."""
        self.socket.close()
