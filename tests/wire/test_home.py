from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from probe.wire.home import home_networks, in_home


def _inside(address: str, *interfaces: str) -> bool:
    return in_home(ip_address(address), home_networks([ip_interface(i) for i in interfaces]))


@pytest.mark.parametrize("address", ["192.168.77.1", "169.254.3.4", "fe80::1", "fd00::9", "fc01::1"])
def test_always_home(address: str) -> None:
    assert _inside(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "172.16.0.1", "100.64.0.1", "8.8.8.8", "2001:db8::1"])
def test_never_home_of_itself(address: str) -> None:
    assert not _inside(address)


def test_private_ranges_that_operators_use_count_as_far_as_the_subnet() -> None:
    assert _inside("10.1.2.3", "10.1.2.9/24")
    assert not _inside("10.1.3.3", "10.1.2.9/24")
    assert not _inside("172.16.1.1", "172.16.0.9/24")


def test_the_48_around_a_global_ipv6_address() -> None:
    assert _inside("2001:db8:5:ffff::1", "2001:db8:5:6::5/64")
    assert not _inside("2001:db8:6::1", "2001:db8:5:6::5/64")
    assert not _inside("fe00::1", "fe80::5/64")


def test_order_is_stable() -> None:
    both = [ip_interface("10.0.0.1/24"), ip_interface("2001:db8::1/64")]
    assert home_networks(both) == home_networks(reversed(both))
    assert [net.version for net in home_networks(both)] == [4, 4, 4, 6, 6, 6]


def test_what_a_lab_opened_is_not_the_homes() -> None:
    home, keep = home_networks([]), [ip_network("192.168.7.0/24"), ip_network("fd00:7::/32")]
    addresses = ["192.168.7.9", "192.168.8.9", "fd00:7::9", "fd00:8::9", "203.0.113.9"]
    assert [in_home(ip_address(one), home, keep) for one in addresses] == [False, True, False, True, False]


def test_the_versions_are_apart() -> None:
    everything = [ip_network("0.0.0.0/0")], [ip_network("::/0")]
    assert [[in_home(ip_address(one), networks) for one in ("1.2.3.4", "::1")] for networks in everything] == [
        [True, False], [False, True]]  # fmt: skip
