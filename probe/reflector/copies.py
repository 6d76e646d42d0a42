"""A copy of what arrived, without the address that it came from.

Gateways and proxies write the home's public address into what passes them (SIP's Via, X-Forwarded-For). A finding must
not hold it, so no copy leaves the reflector with an address in its text that could be the home's. Private addresses
stay: they are what a softphone wrote itself, and say whether it was rewritten.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

_MOST = 8192
# Inside names, too (host-198-51-100-7.example).
_V4 = re.compile(rb"(?<!\d)(?<!\d\.)\d{1,3}([.-])\d{1,3}\1\d{1,3}\1\d{1,3}(?!\d|\.\d)")
_V6 = re.compile(rb"(?<![\w.:])(?=[0-9A-Fa-f:]{0,4}:[0-9A-Fa-f:]{0,40}:)[0-9A-Fa-f:]{3,39}(?![\w:]|\.\d)")
_ORDINARY = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "::/127", "fc00::/7", "fe80::/10",
    )
]  # fmt: skip


def masked(data: bytes, own: Collection[str]) -> tuple[bytes, int]:
    """The first 8 KiB, with ``0.0.0.0`` or ``::`` in place of every address that is neither private nor in ``own``
    (canonical text); and how many were replaced."""
    count = 0

    def replace(found: re.Match[bytes]) -> bytes:
        nonlocal count
        text = found[0].decode()
        try:
            address = ipaddress.ip_address(text.replace("-", "."))
        except ValueError:
            return found[0]
        if str(address) in own or any(address in network for network in _ORDINARY):
            return found[0]
        count += 1
        return b"0.0.0.0" if address.version == 4 else b"::"

    return _V4.sub(replace, _V6.sub(replace, data[:_MOST])), count
