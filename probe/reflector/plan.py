"""From the words of the command line to what the service does."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from probe.model.errors import ColibriError, ConfigError, MalformedPacket, UsageError
from probe.reflector import certificate
from probe.wire.address import address_text
from probe.wire.dns_name import name_labels

WELL_KNOWN = (53, 80, 443, 853, 3478, 5004, 5060, 5061)
"""Ports that are served if nothing else is said: DNS, HTTP, TLS, DNS over TLS, STUN, RTP, SIP."""
_RANDOM = range(10_000, 32_000)  # below those that Linux gives to clients
_MOST_PORTS = 100
_LEAST_KEY = 16


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a reflector is to do. ``files``: certificate and key."""

    listen: tuple[str, ...]
    silent: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    ports: tuple[int, ...] = WELL_KNOWN
    random: tuple[int, ...] = ()
    name: str = ""
    zone: str = ""
    peers: dict[str, str] = {}
    peer_key: bytes = b""
    files: tuple[Path, Path]


def make(
    *, listen: str = "", silent: str = "", public: str = "", name: str = "", zone: str = "", ports: str = "",
    random_ports: int = 4, peers: Sequence[str] = (), peer_key: str = "", state: str, certificate_file: str = "",
    key_file: str = "",
) -> Plan:  # fmt: skip
    """The plan that these words ask for; makes the certificate where there is none.

    Raises UsageError or ConfigError with the word or file that is wrong, ColibriError where there is no address.
    """
    quiet = _addresses(silent)
    own = _addresses(listen) or own_addresses()
    own = tuple(address for address in own if address not in quiet)
    if not own:
        raise ColibriError("this host has no address to listen on (yet): name one with --listen")
    if not 0 <= random_ports <= _MOST_PORTS:
        raise UsageError(f"--random-ports takes 0 to {_MOST_PORTS}")
    for text in (name, zone):
        _name(text)
    named = _peers(peers)
    key = _key(peer_key)
    if named and not key:
        raise UsageError("--peer needs --peer-key: the secret that the peers share")
    files = (Path(certificate_file), Path(key_file)) if certificate_file else certificate.ensure(Path(state), name, own)
    # The same at every start, and others on every server: nobody knows them beforehand.
    chance = Random(certificate.fingerprint(files[0]))
    return Plan(
        listen=own, silent=quiet, public=_addresses(public), ports=_ports(ports) or WELL_KNOWN,
        random=tuple(sorted(chance.sample(_RANDOM, random_ports))), name=name, zone=zone.strip(".").lower(),
        peers=named, peer_key=key, files=files,
    )  # fmt: skip


def own_addresses() -> tuple[str, ...]:
    """Addresses of this host that others may reach: no loopback, no link-local ones."""
    import ifaddr

    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            address = ipaddress.ip_address(one.ip if isinstance(one.ip, str) else one.ip[0])
            if not (address.is_loopback or address.is_link_local or address.is_multicast):
                found.append(address_text(address.packed))
    return tuple(dict.fromkeys(found))


def _addresses(text: str) -> tuple[str, ...]:
    try:
        return tuple(address_text(ipaddress.ip_address(one.strip()).packed) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise UsageError(str(error)) from None


def _ports(text: str) -> tuple[int, ...]:
    found = []
    for one in text.split(","):
        if not one.strip():
            continue
        if not one.strip().isdecimal() or not 0 < int(one) < 65536:
            raise UsageError(f"{one.strip()!r} is no port")
        found.append(int(one))
    if len(found) > _MOST_PORTS:
        raise UsageError(f"at most {_MOST_PORTS} ports")
    return tuple(dict.fromkeys(found))


def _name(text: str) -> None:
    try:
        if text:
            name_labels(text)
    except MalformedPacket as error:
        raise UsageError(f"{text!r} is no name: {error}") from None


def _peers(words: Sequence[str]) -> dict[str, str]:
    peers = {}
    for word in words:
        name, _, address = word.rpartition("=")
        (address,) = _addresses(address) or ("",)
        if not address:
            raise UsageError(f"{word!r} is no peer: NAME=ADDRESS")
        peers[name or address] = address
    return peers


def _key(file: str) -> bytes:
    if not file:
        return b""
    try:
        text = Path(file).read_bytes().strip()
    except OSError as error:
        raise ConfigError(file, error.strerror or "can't be read") from None
    if len(text) < _LEAST_KEY:
        raise ConfigError(file, f"a peers' key has at least {_LEAST_KEY} characters: openssl rand -hex 32")
    return hashlib.sha256(text).digest()
