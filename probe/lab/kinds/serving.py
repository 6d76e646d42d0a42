"""Servers that are not as one expects."""

from __future__ import annotations

from typing import Literal

from probe.lab.kinds.base import BaseBox, Seconds


class Resolver(BaseBox, tag="resolver", frozen=True, kw_only=True):
    """Changes a resolver: lies about ``names``; is slow, cuts its answers short, or rotates its addresses."""

    names: tuple[str, ...] = ()
    answer: str = "198.18.0.99"  # an IPv4 address, "nxdomain" or "refused"
    delay: Seconds = 0.0
    truncate: bool = False
    rotate: tuple[str, ...] = ()  # one more of these addresses in each answer's place


class Web(BaseBox, tag="web", frozen=True, kw_only=True):
    """Changes a web server: open ``ports``, what an unknown name gets, when an idle connection is reset."""

    ports: tuple[int, ...] = (80, 443)
    unknown_host: Literal["serve", "reset"] = "serve"
    unknown_sni: Literal["serve", "reset"] = "serve"
    idle_reset: Seconds = 0.0  # 0: never
    firewall: bool = False  # other ports are dropped silently instead of refused


class HomeDns(BaseBox, tag="home_dns", frozen=True, kw_only=True):
    """A home router that answers DNS queries to any address itself."""
