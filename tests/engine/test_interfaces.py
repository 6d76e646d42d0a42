"""Own addresses, and the way towards a destination."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import pytest

from probe.engine.interfaces import Feeler, Own, Way, own_addresses
from probe.lab.lab import Lab
from probe.model.errors import ForbiddenDestination, NoRoute


def own(*texts: str) -> Own:
    """Addresses on interfaces: "index:address/prefix"."""
    pairs = [text.split("@") for text in texts]
    interfaces = tuple(ipaddress.ip_interface(address) for address, _ in pairs)
    index = {str(one.ip): int(number) for one, (_, number) in zip(interfaces, pairs, strict=True)}
    return Own(interfaces, index)


def test_subnets_once_each() -> None:
    found = own("192.168.1.5/24@2", "192.168.1.6/24@3", "2a00:1:2:3::5/64@2")
    assert [str(one) for one in found.networks] == ["192.168.1.0/24", "2a00:1:2:3::/64"]
    assert found.addresses == {"192.168.1.5", "192.168.1.6", "2a00:1:2:3::5"}


def test_cable_and_radio_in_one_network_are_siblings() -> None:
    found = own("192.168.1.5/24@2", "192.168.1.6/24@3", "10.8.0.2/24@4", "192.168.1.7/24@2")
    assert found.siblings("192.168.1.5") == {3}
    assert found.siblings("192.168.1.6") == {2}
    assert found.siblings("10.8.0.2") == frozenset()
    assert found.siblings("172.16.0.1") == frozenset()


def way(address: str, interface: str = "") -> Way:
    """The way from here."""
    with contextlib.closing(Feeler(own_addresses(), interface)) as feeler:
        return feeler.way(address)


@pytest.mark.lab
def test_a_home_knows_its_addresses_and_its_way_out(chain: Lab) -> None:
    with chain.enter("chain"):
        found = own_addresses()
        assert {"198.18.1.100", "2001:db8:1:1::2"} <= found.addresses
        assert not any(one.ip.is_loopback for one in found.interfaces)
        assert found.index["198.18.1.100"] == found.index["2001:db8:1:1::2"] > 1
        assert way("203.0.113.10") == Way(4, "198.18.1.100", "eth0")
        assert way("2001:db8:a0::10", "eth0") == Way(6, "2001:db8:1:1::2", "eth0")
        with pytest.raises(NoRoute, match="no-such"):
            way("203.0.113.10", "no-such")


@pytest.mark.lab
def test_no_route_says_what_to_do(chain: Lab) -> None:
    chain.run("chain", ["ip", "route", "add", "unreachable", "192.0.2.77/32"], check=True)
    with chain.enter("chain"), pytest.raises(NoRoute, match="doctor") as caught:
        way("192.0.2.77")
    assert "192.0.2.77" in caught.value.what


@pytest.mark.lab
def test_a_feeler_feels_on_after_an_address_without_a_way(chain: Lab) -> None:
    chain.run("chain", ["ip", "route", "add", "unreachable", "192.0.2.78/32"], check=True)
    with chain.enter("chain"), contextlib.closing(Feeler(own_addresses())) as feeler:
        first = feeler.way("203.0.113.10")
        with pytest.raises(NoRoute):
            feeler.way("192.0.2.78")
        with pytest.raises(ForbiddenDestination, match="itself"):
            feeler.way("198.18.1.100")
        assert feeler.way("203.0.113.11") is first
        assert feeler.way("2001:db8:a0::10").family == socket.AF_INET6


@pytest.mark.lab
def test_an_address_that_came_after_the_look_is_on_no_known_interface(chain: Lab) -> None:
    with chain.enter("chain"), contextlib.closing(Feeler(Own((), {}))) as feeler, pytest.raises(
        NoRoute, match=r"no interface holds 198\.18\.1\.100, the source address towards 203\.0\.113\.10"
    ):
        feeler.way("203.0.113.10")
    with chain.enter("chain"), contextlib.closing(Feeler(Own((), {}), "eth0")) as feeler:
        assert feeler.way("203.0.113.10").interface == "eth0"
