"""Who may ask, by what name, and whether a change comes from the page itself.

A page on the LAN without a login has three enemies: strangers on the Internet, another site whose name is made to point
here (DNS rebinding), and another site that makes a visitor's browser send a form (cross-site request forgery).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_HOMES = [
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1", "fc00::/7",
                 "fe80::/10")
]  # fmt: skip
_OWN_NAME = re.compile(r"colibri(-\d{1,3})?\.local")  # a second one in a home is renamed to colibri-2.local
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def address(text: str) -> IPv4Address | IPv6Address:
    """An address as the kernel tells it: without its zone, and as IPv4 where it is IPv4. Raises ValueError."""
    found = ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def at_home(peer: str) -> bool:
    """Whether an address can be of this home: private, link-local, unique local, or this device's own."""
    try:
        found = address(peer)
    except ValueError:
        return False
    return any(found in network for network in _HOMES if network.version == found.version)


def host_allowed(host: str, own: str, hostname: str) -> bool:
    """Whether a Host header names this device: ``colibri.local``, its host name (also with ``.local``), or the address
    ``own`` that the connection came in by.

    The name of an attacker's site that was made to point here is none of these. ``hostname``: as the kernel has it.
    """
    name = host.strip().lower()
    name, port = (name[: name.find("]") + 1], name[name.find("]") + 1 :]) if name[:1] == "[" else _split(name)
    if port and not re.fullmatch(r":\d{1,5}", port):
        return False
    label = hostname.partition(".")[0].lower()
    # A name without a dot can't be made to point here from outside: no such name is in the public DNS.
    names = {"localhost", label, f"{label}.local"} if _LABEL.fullmatch(label) else {"localhost"}
    if name in names or _OWN_NAME.fullmatch(name):
        return True
    try:
        return address(name.strip("[]")) == address(own)
    except ValueError:
        return False


def _split(name: str) -> tuple[str, str]:
    plain, colon, port = name.partition(":")
    return plain, colon + port


def own_form(headers: Mapping[str, str]) -> bool:
    """Whether a POST comes from a page of this very origin (Fetch, "Origin"; Fetch Metadata), or from no browser.

    ``headers``: by lower-case name. Browsers send Origin with every POST; only a program leaves both out.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or origin.lower() == f"http://{headers.get('host', '').strip().lower()}"
