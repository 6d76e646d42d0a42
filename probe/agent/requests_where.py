"""Where a list or a request would have this probe send to, as far as can be told before anything is sent.

What is an address, however it is spelled, has to be one that may be measured; what is a name, one of the public DNS.
What a public name resolves to is known only later: the engine asks its guard again for every single packet's address
(:mod:`probe.engine.guard`), and follows no redirect.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from probe.engine.guard import FORBIDDEN, Guard
from probe.model.errors import ForbiddenDestination, UsageError

_PLACES = ("target", "targets", "names", "siblings", "silent", "reflector", "relays", "chat")
_HOME = re.compile(
    r"(^|\.)(localhost|localdomain|local|lan|home|internal|intranet|corp|private|home\.arpa|onion|in-addr\.arpa|ip6\.arpa)$"
)
"""Names that no public resolver answers for: they mean something inside a home (RFC 6761, 6762, 8375, 9476)."""
_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")  # \w: names in Arabic script, too
_LONGEST = 1024


def check(options: Mapping[str, object], guard: Guard) -> None:
    """Raise ForbiddenDestination or UsageError unless everything that these options name may be measured."""
    for key, value in options.items():
        place = key in _PLACES or key.endswith(("address", "resolver", "name"))
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                _check_text(key, text, guard, place)


def _check_text(key: str, text: str, guard: Guard, place: bool) -> None:
    if len(text) > _LONGEST or not text.isprintable():
        raise UsageError(f"{key}: is too long, or holds what can't be printed")
    for piece in text.replace(",", " ").split():
        for host in _hosts(piece):
            address = _address(host, numbers=place)
            if address is not None:
                for end in address:
                    guard.check(end)
            elif place:
                _check_name(key, host)


def _hosts(piece: str) -> Iterator[str]:
    """Whatever in a word may be a host: of a URL, of ``KIND:HOST@ADDRESS:PORT``, with a port or without."""
    if "://" in piece:
        try:
            split = urlsplit(piece)
            host = split.hostname or ""
        except ValueError:
            raise UsageError(f"{piece!r} is no URL") from None
        if split.username is not None or "\\" in piece or "@" in split.netloc:
            raise UsageError(f"{piece!r}: a user name does not belong into a URL")
        yield host
        return
    for part in piece.split("@"):
        bare = part.partition("://")[2] or part
        if _address(bare) is not None:
            yield bare
            continue
        inner = re.fullmatch(r"(?:[a-z]+:)?\[([^\]]*)\](?::\d*)?", bare)
        if inner:
            yield inner[1]
            continue
        bare = re.sub(r"^(stun|turn|sip|udp|tls|tcp):", "", bare)
        yield bare if _address(bare) is not None else bare.rpartition(":")[0] or bare


def _address(host: str, *, numbers: bool = True) -> tuple[str, ...] | None:
    """The address that a text is, in its usual spelling; None if it is none. Of a network, both its ends, and where the
    ranges begin that are never measured, if it holds some.

    ``numbers``: whether a bare number may be one, as it is to a C library (a port is a number, too).
    """
    plain = host.strip("[]").rstrip(".")
    try:
        network = ipaddress.ip_network(plain, strict=False)
    except ValueError:
        pass
    else:
        inside = [str(one.network_address) for one, _ in FORBIDDEN if one.version == network.version
                  and one.subnet_of(network)]  # type: ignore[arg-type]  # of one version, as it asks for
        return tuple(dict.fromkeys((str(network.network_address), str(network.broadcast_address), *inside)))
    try:
        return (str(ipaddress.ip_address(plain)),)
    except ValueError:
        pass
    digits = re.fullmatch(r"[0-9a-fx.]*[0-9][0-9a-fx.]*", plain, re.IGNORECASE)
    if digits and (numbers or "." in plain):
        try:  # 2130706433, 0x7f.1, 127.1, 0177.0.0.1: what a C library takes for an address (inet_aton(3))
            return (socket.inet_ntoa(socket.inet_aton(plain)),)
        except OSError:
            return None
    return None


def _check_name(key: str, host: str) -> None:
    name = host.rstrip(".").lower()
    labels = name.split(".")
    if len(labels) < 2 or _HOME.search(name):
        raise ForbiddenDestination(f"{key}: {host!r} is a name inside somebody's home")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise UsageError(f"{key}: {host!r} is neither a name nor an address")
