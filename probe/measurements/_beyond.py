"""Whether something is surely beyond the home: where two routers stand in it, the second may look like anybody's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from probe.measurements._judge import is_home
from probe.measurements._proof import home_depth

# Somebody's own: a second router of the home has such an address, and so may an operator's first.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


def within(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether an address lies in one of the networks."""
    ip = ipaddress.ip_address(address)
    return any(ip.version == network.version and ip in network for network in networks)


def private(address: str) -> bool:
    """Whether an address means something inside a network only."""
    return within(address, _PRIVATE)


def surely_beyond(ttl: int, routers: Mapping[int, str]) -> bool:
    """Whether what acts at hop ``ttl`` is not in the home: not right behind the last router that is known to be the
    home's, unless the router there shows an address that no home has. ``routers``: TTL → address."""
    depth = home_depth(routers)
    if ttl <= depth:
        return False
    shown = routers.get(ttl, "")
    return ttl > depth + 1 or not (shown == "" or is_home(shown) or private(shown))
