"""Boxes that answer in another's place when they see a forbidden word, or swallow what carries it."""

from __future__ import annotations

from typing import Literal

from probe.lab.kinds.base import BaseBox, Copies, FieldRule, Seconds, Where


class DnsInjector(BaseBox, tag="dns_injector", frozen=True, kw_only=True):
    """Answers queries for ``names`` (and all below them) in the resolver's place; on-path unless ``in_path``."""

    names: tuple[str, ...]
    answer: str = "198.18.0.99"  # an IPv4 address, or "nxdomain"
    answer6: str = "2001:db8::99"
    qtypes: tuple[Literal["A", "AAAA"], ...] = ("A",)
    ttl: FieldRule = 64
    ip_id: FieldRule = "random"
    copies: Copies = 1
    delay: Seconds = 0.0
    in_path: bool = False


class ResetInjector(BaseBox, tag="reset", frozen=True, kw_only=True):
    """Resets (or finishes) a flow that carries one of ``words``; "" is any name. In-path, the packet is dropped too.

    Copy i bears the expected sequence number plus ``i * step``.
    """

    words: tuple[str, ...]
    where: tuple[Where, ...] = ("host", "sni")
    to: tuple[Literal["client", "server"], ...] = ("client",)
    flags: Literal["R", "RA", "FA"] = "RA"
    copies: Copies = 1
    step: int = 0
    ttl: FieldRule = 64
    ip_id: FieldRule = "random"
    window: int = 0
    delay: Seconds = 0.0
    in_path: bool = False


class Drop(BaseBox, tag="drop", frozen=True, kw_only=True):
    """Swallows the packet that carries a word and then, for ``residual`` seconds, the flow (4-tuple) or everything
    between the client and that server's port (3-tuple), both ways."""

    words: tuple[str, ...]
    where: tuple[Where, ...] = ("host", "sni")
    residual: Seconds = 5.0
    tuple_size: Literal[3, 4] = 4


class BlockPage(BaseBox, tag="block_page", frozen=True, kw_only=True):
    """Answers a request for a forbidden Host with a page of its own, and ends the flow."""

    words: tuple[str, ...]
    status: str = "403 Forbidden"
    body: str = "<html><head><title>Blocked</title></head><body>This site is blocked by order.</body></html>"
    ttl: FieldRule = 64
    ip_id: FieldRule = "random"
    in_path: bool = False
