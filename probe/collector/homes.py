"""From which home a probe speaks, by the broker's word: its log of connections says who came from which address.

Of the address only a keyed hash of its prefix is kept; the address itself is never written, logged or handed on: what
goes to the store is :class:`Connected`. Mosquitto publishes the log at ``$SYS/broker/log/N`` (mosquitto.conf(5):
``log_dest topic``, ``log_type notice``, ``connection_messages true``); its access list lets only the collector read it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from ipaddress import IPv6Address, ip_address, ip_network

from probe.collector.verdicts import Connected, Unheeded

BROKER_LOG = "$SYS/broker/log/N"
"""Mosquitto's notices. Subscribed at QoS 0: so the broker keeps none of them, in memory or on disk, for who is away."""
SECRET_BYTES = 32
_PREFIX = {4: 24, 6: 48}  # bits that homes of one line share
_HASH_BYTES = 8
_NO_PROBES = frozenset({"all", "bridge", "broker", "collector", "operator", "public"})  # reserved names
# The address comes first, before anything that a client chose; a name that could feign the rest is no token.
_LINE = re.compile(
    r"(?:\S+: )?New client connected from (\S+) as ([a-z0-9][a-z0-9_.-]{0,63}) "
    r"\(p\d+, c\d+, k\d+(?:, u'([a-z0-9][a-z0-9_.-]{0,63})')?\)\.?"
)
_LONGEST = 512


def judge_line(payload: bytes, secret: bytes) -> Connected | Unheeded:
    """What a line of the broker's log says of a probe. Nothing that arrives can raise, and nothing of it is kept.

    The name is the one that the broker has authenticated (``u'…'``), by which its access list lets a probe speak; the
    client id where it authenticates nobody.
    """
    found = _LINE.fullmatch(payload[:_LONGEST].decode("utf-8", "replace"))
    if found is None:
        return Unheeded()
    where, client_id, username = found.groups()
    name = username or client_id
    prefix = _prefix(where)
    return Unheeded() if name in _NO_PROBES or prefix is None else Connected(name, _hashed(prefix, secret))


def _prefix(where: str) -> str | None:
    """The public prefix of ``ADDRESS:PORT`` (IPv6 without brackets, as Mosquitto writes it), None if there is none."""
    host, _, port = where.rpartition(":")
    if not port.isdecimal():
        return None
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ip_network((address, _PREFIX[address.version]), strict=False))


def _hashed(prefix: str, secret: bytes) -> str:
    return hmac.digest(secret, prefix.encode(), hashlib.sha256)[:_HASH_BYTES].hex()


__all__ = ["BROKER_LOG", "judge_line"]
