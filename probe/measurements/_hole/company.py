"""Whom to measure: addresses, networks and names, as a person or a target list gives them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from random import Random

import msgspec

from probe.measurements import Part
from probe.measurements._dns.queries import Asker, Reply, replies
from probe.model.errors import UsageError
from probe.model.exchange import Step
from probe.wire import dns
from probe.wire.address import address_text

MOST = 1024
"""Addresses of one run: some minutes at the budget's usual pace."""
_NAME = re.compile(r"(?=.{1,253}$)([a-zA-Z0-9_-]{1,63}\.)+[a-zA-Z][a-zA-Z0-9-]{0,62}")
_NOWHERE = [ipaddress.ip_network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "224.0.0.0/3", "::/8", "fc00::/7", "fe80::/10", "ff00::/8",
)]  # fmt: skip
_ANSWER = 4.0  # seconds: a slow resolver is not an absent one
_ATTEMPTS = 3


class Wanted(msgspec.Struct, frozen=True):
    """One address to measure. ``listed``: it was given by itself, or by a name, so that it must answer; of a network
    only some addresses are in use."""

    address: str
    name: str = ""
    listed: bool = True


def expand(texts: Iterable[str]) -> tuple[list[Wanted], list[str]]:
    """The addresses (each once, in order) and the names among ``texts``.

    Raises UsageError for what is neither address, network nor name, and for more than :data:`MOST` addresses.
    """
    found: dict[str, Wanted] = {}
    names: list[str] = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            if not _NAME.fullmatch(text):
                raise UsageError(f"{text!r} is no address, network or name") from None
            names.append(text.lower())
            continue
        if network.num_addresses + len(found) > MOST:
            raise UsageError(f"more than {MOST} addresses in one run ({text}): split them") from None
        single = "/" not in text
        for address in [ipaddress.ip_address(text)] if single else network:
            canonical = address_text(address.packed)
            if single or canonical not in found:
                found[canonical] = Wanted(canonical, listed=single)
    return list(found.values()), list(dict.fromkeys(names))


def check_networks(texts: Iterable[str]) -> None:
    """Raises UsageError for what is no network."""
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise UsageError(f"{text!r} is no network (CIDR)") from None


def resolve(names: list[str], resolver: str, versions: Iterable[int], random: Random) -> Part[dict[str, list[str]]]:
    """Name → its addresses, of the IP versions asked for. A name that the resolver does not know, or whose answers
    contradict each other (a forged one races the real one), has none."""
    kinds = [(qtype, Asker(random, 53, qtype)) for v, qtype in ((4, dns.A), (6, dns.AAAA)) if v in versions]
    waiting = [(name, asker) for name in names for _, asker in kinds]
    found: dict[str, list[str]] = {name: [] for name in names}
    for attempt in range(_ATTEMPTS):
        batch: list[Step] = [
            asker.ask(name, resolver, flow=f"names{attempt}.{i}", wait=_ANSWER, linger=0.3)
            for i, (name, asker) in enumerate(waiting)
        ]
        heard = [(one, replies(exchange)) for one, exchange in zip(waiting, (yield batch), strict=True)]
        for (name, _), answers in heard:
            found[name] += _addresses(answers)
        waiting = [one for one, answers in heard if not answers]
        if not waiting:
            break
    return found


def _addresses(answers: list[Reply]) -> list[str]:
    """What the answers to one query agree on; nothing where they don't, or where it leads nowhere."""
    if len({answer.content for answer in answers}) != 1:
        return []
    said = [one.partition(" ") for one in sorted(answers[0].says)]
    texts = [text for qtype, _, text in said if qtype in (str(dns.A), str(dns.AAAA))]
    return [address for address in texts if not nowhere(address)]


def nowhere(address: str) -> bool:
    """Whether an address leads to no server on the Internet: forged and faulty answers name such ones."""
    ip = ipaddress.ip_address(address)
    return any(ip.version == network.version and ip in network for network in _NOWHERE)


def prefix(address: str) -> str:
    """The least network that is routed by itself on the Internet and holds an address: its /24 (IPv4) or /48 (IPv6).

    What its owner withdraws or loses is lost for all of it (RFC 7454, section 6.1.3).
    """
    length = 48 if ":" in address else 24
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def version(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4
