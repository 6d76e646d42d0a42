"""Routes and addresses of this machine, beside what pyroute2 reads; changes are told in tests/agent/test_line.py."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import subprocess
import sys

import pytest

from probe.engine import netlink
from probe.wire import rtnetlink

PEER = """
import json
from pyroute2 import IPRoute
from probe.engine import netlink
with IPRoute() as peer:
    routes = []
    for r in [r for f in (2, 10) for r in peer.route("dump", family=f) if r["type"] == 1]:
        hop = (r.get("multipath") or [r])[0]
        gateway = r.get("gateway") or dict(hop["attrs"]).get("RTA_GATEWAY") or ""
        routes.append((r["family"], r["dst_len"], r.get("table"), r.get("oif") or hop.get("oif") or 0, gateway))
    addresses = [(a["index"], a["scope"], a.get("local") or a.get("address"), a["prefixlen"])
                 for a in peer.addr("dump")]
ours, mine = netlink.look()
assert sorted((r.family, r.length, r.table, r.interface, r.gateway) for r in ours) == sorted(routes), (ours, routes)
assert sorted((a.interface, a.scope, a.address, a.length) for a in mine) == sorted(addresses), (mine, addresses)
print(len(routes), len(addresses))
"""
SET_UP = """ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip addr add 10.9.0.2/24 dev v0; ip -6 addr add 2001:db8::2/64 dev v0 nodad; ip route add default via 10.9.0.1 metric 7
ip -6 route add default via 2001:db8::1; ip route add 192.0.2.0/24 via 10.9.0.3 table 99
ip route add 198.51.100.0/24 nexthop via 10.9.0.4 nexthop via 10.9.0.5; ip route add unreachable 203.0.113.0/24
"""


@pytest.mark.lab
def test_pyroute2_reads_the_same() -> None:
    script = SET_UP + f'exec {sys.executable} -c "$PEER"'
    ran = subprocess.run(["unshare", "-Urn", "sh", "-c", script], env={"PEER": PEER, "PATH": "/usr/sbin:/usr/bin:/sbin"
                         ":/bin"}, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    routes, addresses = map(int, ran.stdout.split())
    assert routes >= 6
    assert addresses >= 4


def test_an_interface_that_went() -> None:
    with pytest.raises(OSError, match=r"."):
        netlink.name(2**30)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (struct.pack("=IHHIIi", 20, rtnetlink.ERROR, 0, 1, 0, -errno.EPERM), errno.EPERM),
        (b"\1\2\3", errno.EPROTO),
    ],
)
def test_a_kernel_that_refuses(answer: bytes, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with kernel:
        kernel.send(answer)
        monkeypatch.setattr(netlink, "_socket", lambda: ours)
        with pytest.raises(OSError, match=r".") as caught:
            netlink.look()
    assert caught.value.errno == code


def test_an_overrun_is_a_change_too() -> None:
    class Loop:
        async def sock_recv(self, _one: object, _size: int) -> bytes:
            raise OSError(errno.ENOBUFS, "overrun")

    asyncio.run(netlink._event(Loop(), None))  # type: ignore[arg-type]
