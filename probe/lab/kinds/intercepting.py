"""Boxes that take a connection or a query away from whom it was meant for, or stand between the two."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.lab.kinds.base import BaseBox, Ports

Lifetime = Annotated[int, msgspec.Meta(ge=0, le=86400)]


class DnsRedirect(BaseBox, tag="dns_redirect", frozen=True, kw_only=True):
    """Sends queries for any address to another resolver, whose answers come back in the name of the one asked.

    ``to``: the node that answers; "": the operator's own resolver; ``at`` itself: the router answers (and a
    ``resolver`` box there says how). ``spare``: addresses that are left alone.
    """

    to: str = ""
    protocols: tuple[Literal["udp", "tcp"], ...] = ("udp",)
    spare: tuple[str, ...] = ()


class Nat(BaseBox, tag="nat", frozen=True, kw_only=True):
    """A NAT that is short of something; at a router that is not a home's, a second one (CGNAT).

    ``ports``: how many it has for one destination (0: enough); timeouts in seconds, 0: the kernel's own.
    """

    udp_timeout: Lifetime = 0
    tcp_timeout: Lifetime = 0
    ports: Annotated[int, msgspec.Meta(ge=0, le=60000)] = 0


class HttpProxy(BaseBox, tag="http_proxy", frozen=True, kw_only=True):
    """A transparent proxy: ends connections to ``ports`` itself, asks the server in its own name, and says so or not.

    ``via``: what it adds as Via ("": nothing); ``forwarded``: adds X-Forwarded-For; ``normalise``: writes header names
    in its own manner; ``cache``: answers a second time by itself.
    """

    ports: Ports = (80,)
    via: str = "1.1 cache"
    forwarded: bool = True
    normalise: bool = True
    cache: bool = False


class TlsMitm(BaseBox, tag="tls_mitm", frozen=True, kw_only=True):
    """Ends TLS with a certificate of its own for names that hold one of ``words`` ("": any, also none).

    ``issuer``: its authority's name; ``chain``: it sends that authority's certificate too.
    """

    words: tuple[str, ...] = ("",)
    ports: Ports = (443,)
    issuer: str = "Operator Secure Gateway"
    chain: bool = True


class Portal(BaseBox, tag="portal", frozen=True, kw_only=True):
    """A captive portal: every name is its own, every page leads to its login, and nothing else passes."""
