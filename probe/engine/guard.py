"""Destinations that are never measured, whoever asks (design, "Safety"; RFC 6890 and the IANA special registries).

Only the local configuration file opens a range (``[safety] allow_networks``): that is how a lab is reached.
"""

from __future__ import annotations

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from probe.model.errors import ConfigError, ForbiddenDestination, UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PLAIN6 = 1 << 48  # below it lie addresses that embed another

FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by an operator's NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "deprecated relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "deprecated embedding of IPv4"),
        ("::ffff:0:0/96", "an embedded IPv4 address"),
        ("64:ff9b::/96", "an embedded IPv4 address"),
        ("64:ff9b:1::/48", "an embedded IPv4 address"),
        ("100::/64", "discard"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "an embedded IPv4 address"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "deprecated site-local"),
        ("ff00::/8", "multicast"),
    )
)


def networks(texts: Iterable[str], where: str = "safety.allow_networks") -> tuple[Network, ...]:
    """Parse networks. Raises ConfigError that names the one that is none."""
    parsed: list[Network] = []
    for i, text in enumerate(texts):
        try:
            parsed.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ConfigError(f"{where}[{i}]", f"{text!r} is not a network: {error}") from None
    return tuple(parsed)


class _Ranges:
    """Networks of one IP version, for a quick look whether an address is in any."""

    def __init__(self, networks: Iterable[Network], version: int) -> None:
        merged = sorted(ipaddress.collapse_addresses(_of(networks, version)))
        self._starts = [int(network.network_address) for network in merged]
        self._ends = [int(network.broadcast_address) for network in merged]

    def __contains__(self, value: int) -> bool:
        i = bisect_right(self._starts, value) - 1
        return i >= 0 and value <= self._ends[i]


def _of(networks: Iterable[Network], version: int) -> Sequence[ipaddress.IPv4Network]:
    # Both kinds have what is used of them here, and never come together.
    return [network for network in networks if network.version == version]  # type: ignore[misc]


class Guard:
    """Says whether an address may be measured.

    ``allow``: networks that the configuration opens. ``own``: this machine's addresses, never measured at all.
    ``local``: the subnets that it is on, forbidden like the well-known ranges.
    """

    def __init__(
        self, allow: Iterable[Network] = (), own: frozenset[str] = frozenset(), local: Iterable[Network] = ()
    ) -> None:
        self._allow = tuple(allow)
        self._own = frozenset(ipaddress.ip_address(text) for text in own)
        self._own_values = frozenset((ip.version == 6, int(ip)) for ip in self._own)
        subnets = ((network, "the local network") for network in local if network.num_addresses > 1)
        self._forbidden = (*FORBIDDEN, *subnets)
        self._passed: set[str] = set()
        self._quick = {
            4: (_Ranges(self._allow, 4), _Ranges((network for network, _ in self._forbidden), 4)),
            6: (_Ranges(self._allow, 6), _Ranges((network for network, _ in self._forbidden), 6)),
        }

    def _passes(self, address: str) -> bool:
        """Whether an address, spelt plainly, surely may be measured; of all others :meth:`check` has the say."""
        six = ":" in address
        try:
            value = int.from_bytes(socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address), "big")
        except (OSError, ValueError):
            return False
        if (six and value < _PLAIN6) or (six, value) in self._own_values:
            return False
        allowed, forbidden = self._quick[6 if six else 4]
        return value in allowed or value not in forbidden

    def check(self, address: str) -> None:
        """Raise ForbiddenDestination unless ``address`` (text, v4 or v6) may be measured; UsageError if it is none."""
        if address in self._passed:
            return
        if self._passes(address):
            self._passed.add(address)
            return
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            raise UsageError(f"{address!r} is not an IP address: give an IPv4 or IPv6 address") from None
        if ip.version == 6 and ip.scope_id:
            raise ForbiddenDestination(f"{address} is on the local link (scope {ip.scope_id})")
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            raise ForbiddenDestination(f"{address} is an IPv4 address in disguise", f"write {ip.ipv4_mapped}")
        if ip in self._own:
            raise ForbiddenDestination(f"{address} is this machine itself")
        if not any(ip in network for network in self._allow if network.version == ip.version):
            for network, what in self._forbidden:
                if network.version == ip.version and ip in network:
                    raise ForbiddenDestination(
                        f"{address} is never measured: {network} is {what}",
                        "a lab is opened by [safety] allow_networks in the local configuration file",
                    )
        self._passed.add(address)
