"""The lab of ``make bench``: a home, eleven routers, a server with 65,536 addresses; forwarding on another core.

Ports 80 and 443 are open, all others closed; 198.19.192.0/18 is lost at the sixth router. 198.19.0.1 answers DNS.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from probe.lab.build import Fabric
from probe.lab.topology import Node, Topology
from probe.model.errors import CannotMeasure

HOPS = 12
RESOLVER = "198.19.0.1"
NETWORKS = ("198.18.0.0/15", "203.0.113.0/24")
_HOLE = "198.19.192.0/18"
_TAIL = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x13\0\7"  # one A record for the name asked


def topology() -> Topology:
    """A chain; the home's packets need TTL 12 for the server."""
    made, routers = Topology(), HOPS - 1
    for number in range(routers, 0, -1):
        above = (f"r{number + 1}",) if number < routers else ()
        made.add(Node(f"r{number}", above, "router", (f"203.0.113.{number}", f"2001:db8:1::{number:x}")))
    lan = ("198.18.1.100/31", "198.18.1.101/31", "2001:db8:1:1::2/64", "2001:db8:1:1::1/64")
    made.add(Node("home", ("r1",), "host", (), ("198.18.1.100/31", "2001:db8:1:1::/64"), lan))
    made.add(Node("server", (f"r{routers}",), "host", ("203.0.113.100", "2001:db8:a0::10"),
                  ("198.19.0.0/16", "203.0.113.100/32", "2001:db8:a0::/48"), local=("198.19.0.0/16",)))  # fmt: skip
    return made


def targets(count: int) -> list[str]:
    """Addresses of the server; up to 10,000."""
    return [f"198.19.{1 + i // 250}.{1 + i % 250}" for i in range(count)]


def matrix() -> dict[str, bool]:
    """256 addresses, and whether they answer: every fourth is lost on the way."""
    return {f"198.19.{200 if i % 4 == 3 else 100}.{i}": i % 4 != 3 for i in range(256)}


class BenchLab:
    """The lab, up. ``measured``: the core of what is measured; the rest runs on ``beside`` (the same, if there is one
    alone)."""

    def __init__(self) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.measured, self.beside = cores[0], cores[-1]
        self._fabric = Fabric(topology())
        self._fabric.route_away("r6", [_HOLE], "blackhole")
        self._open: list[socket.socket] = []

    def start(self) -> None:
        """Servers, and packets steered off the measured core (receive packet steering, Linux scaling.rst)."""
        with self._fabric.namespaces["server"].inside():
            for port in (80, 443):
                listener = socket.create_server(("0.0.0.0", port), backlog=4096)
                self._open.append(listener)
            dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            dns.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            dns.bind((RESOLVER, 53))
            self._open.append(dns)
        os.sched_setaffinity(0, {self.beside})
        threading.Thread(target=_answer, args=(dns,), daemon=True).start()
        first = self._fabric.interface("r1", "home")
        steer = f"mount -t sysfs none /sys && echo {1 << self.beside:x} >/sys/class/net/{first}/queues/rx-0/rps_cpus"
        if self.run(["unshare", "--mount", "sh", "-c", steer], node="r1", check=False).returncode:
            print("bench: forwarding stays on the measured core (no sysfs here)", file=sys.stderr)

    def run(self, argv: Sequence[str], node: str = "home", **options: Any) -> subprocess.CompletedProcess[Any]:
        """``subprocess.run`` in a node."""
        with self._fabric.namespaces[node].inside():
            return subprocess.run(list(argv), **options)  # noqa: PLW1510 - the caller says

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """A process in the home, on the measured core."""
        with self._fabric.namespaces["home"].inside():
            return subprocess.Popen(["taskset", "-c", str(self.measured), *argv], **options)

    def close(self) -> None:
        """End it all."""
        for sock in self._open:
            sock.close()
        self._fabric.close()


@contextlib.contextmanager
def lab() -> Iterator[BenchLab]:
    """The lab, from its start to its end. Raises NoPermission, CannotMeasure."""
    if not Path("/proc/self/ns/net").exists():
        raise CannotMeasure("this kernel has no network namespaces")
    made = BenchLab()
    try:
        made.start()
        yield made
    finally:
        made.close()


def _answer(dns: socket.socket) -> None:
    """Answer every query by one record, as fast as Python can."""
    buffer = bytearray(512)
    view = memoryview(buffer)
    while True:
        try:
            _, address = dns.recvfrom_into(buffer)
        except OSError:
            return
        size = buffer.index(0, 12) + 5  # the end of the question: what follows (EDNS) is left out of the answer
        buffer[2:12] = b"\x85\x80\0\1\0\1\0\0\0\0"
        buffer[size : size + len(_TAIL)] = _TAIL
        with contextlib.suppress(OSError):
            dns.sendto(view[: size + len(_TAIL)], address)
