"""Names the networks that routers' addresses belong to, from a prefix table on this device. Asks nobody.

The table is text: ``prefix AS-number name`` a line (``#`` begins a comment), as made from any routing table dump. It is
read through once, only when a finding has a place to name, and never held in memory: a full table has a million lines.
An address between two networks is often numbered by the neighbour, so the words say what the number is, not who acts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from probe.model.errors import ConfigError
from probe.model.finding import Hop, Judgement, Location

Network = tuple[int, str]
"""AS number and name."""


def look_up(path: str, addresses: Iterable[str]) -> dict[str, Network]:
    """Longest match of each address in the table; addresses in no prefix are left out.

    Raises ConfigError with the line of a table that can't be read.
    """
    wanted = {address: ipaddress.ip_address(address) for address in addresses}
    best: dict[str, tuple[int, Network]] = {}
    for network, asn, name in _rows(path):
        for address, ip in wanted.items():
            known = best.get(address)
            if ip in network and (known is None or network.prefixlen > known[0]):
                best[address] = network.prefixlen, (asn, name)
    return {address: found for address, (_, found) in best.items()}


def networks_of(path: str, asn: int) -> list[str]:
    """The networks of an AS in the table, joined where they can be. Raises ConfigError as :func:`look_up`."""
    own = [network for network, number, _ in _rows(path) if number == asn]
    versions = [network for network in own if isinstance(network, ipaddress.IPv4Network)]
    later = [network for network in own if isinstance(network, ipaddress.IPv6Network)]
    joined = (*ipaddress.collapse_addresses(versions), *ipaddress.collapse_addresses(later))
    return [str(network) for network in joined]


def _rows(path: str) -> Iterator[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int, str]]:
    """(network, AS number, name) of every row of the table."""
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                words = line.partition("#")[0].split(None, 2)
                if not words:
                    continue
                try:
                    network = ipaddress.ip_network(words[0])
                    asn = int(words[1].upper().removeprefix("AS"))
                    if not 0 <= asn < 1 << 32:
                        raise ValueError(f"{asn} is no AS number")
                except (ValueError, IndexError) as error:
                    raise ConfigError(f"{path}:{number}", f"not `prefix AS-number name`: {error}") from None
                yield network, asn, words[2].strip() if len(words) > 2 else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"the prefix table can't be read: {error}") from None


def name_networks(judgement: Judgement, path: str) -> Judgement:
    """The judgement with AS numbers at the ends of its location, and words about them. Raises ConfigError."""
    interference = judgement.interference
    if not path or interference is None or interference.location is None:
        return judgement
    location = interference.location
    ends = [hop for hop in (location.clean_hop, location.first_hop) if hop is not None and hop.address]
    found = look_up(path, {hop.address for hop in ends})
    if not found:
        return judgement
    words = location.attribution + _about(location, found)
    named = msgspec.structs.replace(
        location,
        clean_hop=_numbered(location.clean_hop, found),
        first_hop=_numbered(location.first_hop, found),
        attribution=words,
    )
    return msgspec.structs.replace(
        judgement,
        interference=msgspec.structs.replace(interference, location=named),
        reasons=[reason.replace(location.attribution, words) for reason in judgement.reasons],
    )


def _numbered(hop: Hop | None, found: dict[str, Network]) -> Hop | None:
    return Hop(hop.address, found[hop.address][0]) if hop is not None and hop.address in found else hop


def _about(location: Location, found: dict[str, Network]) -> str:
    clean = found.get(location.clean_hop.address) if location.clean_hop else None
    first = found.get(location.first_hop.address) if location.first_hop else None
    if clean and first and clean[0] == first[0]:
        return f", both numbered from {_text(clean)}"
    if clean and first:
        return f", from {_text(clean)} towards {_text(first)}"
    if first:
        return f", entering addresses of {_text(first)}"
    return f", leaving addresses of {_text(clean)}" if clean else ""


def _text(network: Network) -> str:
    return f"AS{network[0]} ({network[1]})" if network[1] else f"AS{network[0]}"
