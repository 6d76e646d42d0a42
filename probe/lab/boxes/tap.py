"""On-path: a tap on the interface by which packets enter a router, before the router looks at their TTL."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from probe.lab.boxes import Inspector
from probe.lab.boxes.frames import FRAME, Ends, open_port, unwrap, wrap
from probe.lab.namespaces import Namespace
from probe.model.packet import Packet
from probe.wire import ip


class Tap:
    """Shows inspectors what comes from the homes; what they emit leaves from the router.

    Towards the homes it is put on the very link, with the TTL it has; towards the servers the router routes it.
    """

    def __init__(self, namespace: Namespace, interface: str, ends: Ends, inspectors: Sequence[Inspector]) -> None:
        self._inspectors = inspectors
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._port = open_port(namespace, interface)
        self._raw = {
            4: namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
            6: namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
        }
        self._loop.add_reader(self._port, self._read)

    def close(self) -> None:
        self._loop.remove_reader(self._port)
        for opened in (self._port, *self._raw.values()):
            opened.close()

    def _read(self) -> None:
        packet = unwrap(self._port.recv(FRAME))
        if packet is not None:
            for inspector in self._inspectors:
                inspector.see(packet, True, self._emit)

    def _emit(self, packet: Packet, *, upstream: bool, delay: float = 0.0) -> None:
        if delay > 0:
            self._loop.call_later(delay, self._send, packet, upstream)
        else:
            self._send(packet, upstream)

    def _send(self, packet: Packet, upstream: bool) -> None:
        if upstream:
            self._raw[packet.version].sendto(ip.encode(packet), (packet.destination, 0))
        else:
            self._port.send(wrap(packet, self._ends, upstream=False))
