"""The line: which way out leads to whom, and what is held meanwhile."""

from __future__ import annotations

import contextlib
import socket

import pytest

from probe.engine.bulk.drive import alone
from probe.engine.interfaces import Way
from probe.lab.lab import Lab
from probe.model.errors import ForbiddenDestination, NoRoute
from tests.engine.bulk.conftest import line
from tests.engine.conftest import descriptors

pytestmark = pytest.mark.lab

V4, V6 = Way(4, "198.18.1.100", "eth0"), Way(6, "2001:db8:1:1::2", "eth0")


def test_addresses_are_sorted_by_the_way_to_them(chain: Lab) -> None:
    with chain.enter("chain"):
        found = alone(line(chain).ways(["203.0.113.10", "2001:db8:a0::10", "203.0.113.11", "8.8.8.8"]))
        assert found == {V4: [0, 2, 3], V6: [1]}
        assert alone(line(chain, interface="eth0").ways(["203.0.113.10"])) == {V4: [0]}


def test_a_source_is_chosen_anew_for_each(chain: Lab) -> None:
    commands = ["ip link add two type veth peer name far2", "ip link set two up", "ip addr add 192.0.2.65/32 dev two",
                "ip route add 192.0.2.128/25 dev two src 192.0.2.65"]  # fmt: skip
    try:
        for command in commands:
            chain.run("chain", command.split(), check=True)
        with chain.enter("chain"):
            found = alone(line(chain).ways(["203.0.113.10", "192.0.2.130", "203.0.113.11"]))
    finally:
        chain.run("chain", ["ip", "link", "del", "two"], check=True)
    assert found == {V4: [0, 2], Way(4, "192.0.2.65", "two"): [1]}


def test_where_no_way_leads(chain: Lab) -> None:
    with chain.enter("chain"):
        with pytest.raises(ForbiddenDestination, match="itself"):
            alone(line(chain).ways(["198.18.1.100"]))
        chain.run("chain", ["ip", "route", "add", "unreachable", "192.0.2.7"], check=True)
        try:
            with pytest.raises(NoRoute, match=r"192\.0\.2\.7"):
                alone(line(chain).ways(["203.0.113.10", "192.0.2.7"]))
        finally:
            chain.run("chain", ["ip", "route", "del", "unreachable", "192.0.2.7"], check=True)


def test_all_is_let_go_of(chain: Lab) -> None:
    with chain.enter("chain"):
        used, before = line(chain), descriptors()
        held = used.gate.admit(["203.0.113.10"])
        with contextlib.ExitStack() as stack:
            alone(used.volley(stack, V4, "tcp", [("203.0.113.10", 80)], held, 5))
            assert descriptors() == before + 4  # the port, the ring, its memory, the sender
        with used.flow(V4, "203.0.113.10", 53) as (own, sock, _ring):
            assert descriptors() == before + 3
            assert sock.getsockname() == ("198.18.1.100", own)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
                other.bind(("198.18.1.100", own))
        assert descriptors() == before
