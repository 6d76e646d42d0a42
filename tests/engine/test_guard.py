"""Destinations that are never measured, and the one way to open a range."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.guard import FORBIDDEN, Guard, networks
from probe.model.errors import ConfigError, ForbiddenDestination, UsageError

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.1", "198.17.255.255",
          "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::7"]  # fmt: skip


def refused(address: str, guard: Guard | None = None) -> bool:
    try:
        (guard or Guard()).check(address)
    except ForbiddenDestination:
        return True
    return False


@pytest.mark.parametrize(("network", "what"), FORBIDDEN, ids=[str(network) for network, _ in FORBIDDEN])
def test_both_ends_of_every_forbidden_range_are_refused(network: ipaddress.IPv4Network, what: str) -> None:
    for ip in (network[0], network[-1], network[network.num_addresses // 2]):
        with pytest.raises(ForbiddenDestination) as caught:
            Guard().check(str(ip))
        assert str(ip) in str(caught.value) or "disguise" in str(caught.value)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_rest_of_the_world_is_open(address: str) -> None:
    assert not refused(address)


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "127.0.0.1", "192.168.1.1", "169.254.169.254", "224.0.0.251", "255.255.255.255", "0.0.0.0",
     "100.64.0.1", "203.0.113.5", "198.18.0.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1",
     "::ffff:8.8.8.8", "::ffff:192.168.1.1", "::FFFF:C0A8:101", "::192.168.1.1", "2002:c0a8:101::1",
     "64:ff9b::c0a8:101", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2001::1", "fec0::1", "5f00::1"],
)  # fmt: skip
def test_well_known_traps(address: str) -> None:
    assert refused(address)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "2606:4700::1111%eth0", "2606:4700::1111%1"])
def test_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenDestination, match="scope"):
        Guard(networks(["::/0"])).check(text)


@pytest.mark.parametrize(
    "text", ["", "example.com", "8.8.8", "010.8.8.8", "0x08080808", "134744072", "8.8.8.8 ", "1.1.1.1/32"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an IP address"):
        Guard().check(text)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_the_table_is_what_decides(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    listed = any(ip in network for network, _ in FORBIDDEN if network.version == ip.version)
    assert refused(str(ip)) is listed
    if not listed:
        assert ip.is_global


def test_only_what_is_allowed_is_opened() -> None:
    guard = Guard(networks(["203.0.113.0/25", "2001:db8:1::/48"]))
    assert not refused("203.0.113.127", guard)
    assert refused("203.0.113.128", guard)
    assert not refused("2001:db8:1:ffff::1", guard)
    assert refused("2001:db8:2::1", guard)


def test_no_range_opens_a_disguised_address() -> None:
    guard = Guard(networks(["::/0"]))
    assert refused("::ffff:192.168.1.1", guard)
    assert not refused("fd00::1", guard)  # the person wrote so


@pytest.mark.parametrize("spelling", ["2a00:1450::5", "2A00:1450:0::5", "2a00:1450:0:0:0:0:0:5"])
def test_this_machine_is_never_measured_however_it_is_written(spelling: str) -> None:
    guard = Guard(networks(["::/0"]), frozenset({"2a00:1450::5"}))
    with pytest.raises(ForbiddenDestination, match="this machine"):
        guard.check(spelling)


def test_the_homes_other_devices_are_never_measured() -> None:
    local = networks(["2a00:1450:1:2::/64", "81.2.3.0/24", "81.9.9.9/32"])
    guard = Guard((), frozenset({"2a00:1450:1:2::5"}), local)
    for neighbour in ("2a00:1450:1:2::77", "81.2.3.4"):
        with pytest.raises(ForbiddenDestination, match="local network"):
            guard.check(neighbour)
    assert not refused("2a00:1450:1:3::1", guard)
    assert not refused("81.9.9.9", guard)  # a lone address has no neighbours
    assert not refused("81.2.3.4", Guard(networks(["81.2.3.0/24"]), frozenset(), local))


def test_a_refusal_is_not_forgotten_for_what_passed() -> None:
    guard = Guard()
    assert [refused(one, guard) for one in ("8.8.8.8", "10.0.0.1", "8.8.8.8", "10.0.0.1")] == [False, True, False, True]


def test_networks_name_the_wrong_one() -> None:
    with pytest.raises(ConfigError, match=r"safety.allow_networks\[1\].*'10.0.0.1/8'"):
        networks(["203.0.113.0/24", "10.0.0.1/8"])


def slowly(address: str, allow: list[str], own: frozenset[str]) -> bool:
    """The rule in full, without the quick look: whether an address is refused."""
    ip = ipaddress.ip_address(address)
    if (isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped) or ip in {ipaddress.ip_address(one) for one in own}:
        return True
    opened = [ipaddress.ip_network(one) for one in allow]
    if any(ip.version == network.version and ip in network for network in opened):
        return False
    return any(ip.version == network.version and ip in network for network, _ in FORBIDDEN)


EDGES = [network[place] for network, _ in FORBIDDEN for place in (0, -1)]
NEAR = st.builds(lambda ip, by: int(ip) + by, st.sampled_from(EDGES), st.integers(-2, 2))
FOUR = st.builds(ipaddress.IPv4Address, st.integers(0, 2**32 - 1) | NEAR.filter(lambda n: 0 <= n < 2**32))
SIX = st.builds(ipaddress.IPv6Address, st.integers(0, 2**128 - 1) | NEAR.filter(lambda n: 0 <= n < 2**128))


OPENED = [[], ["203.0.113.0/24", "198.18.0.0/15"], ["0.0.0.0/0"], ["::/0"], ["2001:db8::/32"]]


@given(FOUR | SIX, st.sampled_from(OPENED))
def test_the_quick_look_refuses_what_the_whole_rule_refuses(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, allow: list[str]
) -> None:
    own = frozenset({"203.0.113.9", "2001:db8::9", "8.8.8.8"})
    assert refused(str(ip), Guard(networks(allow), own)) == slowly(str(ip), allow, own)
