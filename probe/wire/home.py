"""Which addresses are the home's: the rule that decides what never leaves it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOME4 = (IPv4Network("192.168.0.0/16"), IPv4Network("169.254.0.0/16"))
_HOME6 = (IPv6Network("fe80::/10"), IPv6Network("fc00::/7"))
_GLOBAL6 = IPv6Network("2000::/3")


def home_networks(own_interfaces: Iterable[IPv4Interface | IPv6Interface]) -> tuple[Network, ...]:
    """Networks of the home, sorted, IPv4 first, given the addresses (with prefix) of this machine.

    The own subnets; 192.168.0.0/16, 169.254.0.0/16, fe80::/10 and fc00::/7; and the /48 around a global IPv6 address,
    the most that a home is given (RFC 6177). 10.0.0.0/8 and 172.16.0.0/12 are the home's only as far as they are an
    own subnet: operators number their routers from them, and those are the hops that a finding must name.
    """
    fours, sixes = list(_HOME4), list(_HOME6)
    for interface in own_interfaces:
        if isinstance(interface, IPv4Interface):
            fours.append(interface.network)
        else:
            sixes.append(interface.network)
            if interface.ip in _GLOBAL6:
                sixes.append(IPv6Network((int(interface.ip), 48), strict=False))
    return (*ipaddress.collapse_addresses(fours), *ipaddress.collapse_addresses(sixes))


def in_home(ip: Address, home: Iterable[Network], keep: Iterable[Network] = ()) -> bool:
    """Whether an address is the home's: in its networks, and in none of those that stay although they lie in them (a
    lab's)."""
    return any(ip in network for network in home) and not any(ip in network for network in keep)
