"""Servers that are not as one expects."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.lab.kinds.base import BaseBox, Seconds


class Resolver(BaseBox, tag="resolver", frozen=True, kw_only=True):
    """Changes a resolver: lies about ``names`` (and all below; "*": every name); is slow, cuts its answers short, or
    rotates its addresses.

    ``answer``: an address, "nxdomain", "refused", "servfail" or "empty"; ``answer6``: an IPv6 address for AAAA, else
    none. ``unknown``: an address in the place of NXDOMAIN. ``identity``: what it answers to ``id.server``; "": its
    node's name. ``serves``: prefixes whose addresses it answers; others are refused. ``encrypted``: it also speaks DNS
    over TLS (853) and HTTPS (443).
    """

    names: tuple[str, ...] = ()
    answer: str = "198.18.0.99"
    answer6: str = ""
    unknown: str = ""
    delay: Seconds = 0.0
    truncate: bool = False
    rotate: tuple[str, ...] = ()  # one more of these addresses in each answer's place
    identity: str = ""
    serves: tuple[str, ...] = ()
    encrypted: bool = True


class Web(BaseBox, tag="web", frozen=True, kw_only=True):
    """Changes a web server: open ``ports``, what an unknown name gets, when an idle connection is reset.

    ``per_second``: connections that it takes in a second, from all together; more are dropped (0: no limit).
    """

    ports: tuple[int, ...] = (80, 443)
    unknown_host: Literal["serve", "reset"] = "serve"
    unknown_sni: Literal["serve", "reset"] = "serve"
    idle_reset: Seconds = 0.0  # 0: never
    firewall: bool = False  # other ports are dropped silently instead of refused
    per_second: Annotated[int, msgspec.Meta(ge=0)] = 0


class HomeDns(BaseBox, tag="home_dns", frozen=True, kw_only=True):
    """A home router that answers DNS queries to any address itself; about ``names`` as its owner had it set."""

    names: tuple[str, ...] = ()
    answer: str = "nxdomain"


class Installed(BaseBox, tag="reflector", frozen=True, kw_only=True):
    """A reflector on a host that is measured itself (a hosting company's): it can say what arrived there.

    The far one has it as a peer, by the name of its node.
    """
