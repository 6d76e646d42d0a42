"""Addresses and names that all tests of the measurements share, and one-line measurements on simulated networks."""

from __future__ import annotations

from typing import Any

from probe.model.finding import Judgement
from tests.measurements.simhosts import Resolver, Web
from tests.measurements.simnet import Host, Network, measure

SERVER, CONTROL, RESOLVER, SILENT = "203.0.113.10", "203.0.113.180", "203.0.113.53", "203.0.113.200"
BANNED = ("banned.example",)
KNOWN = ("good.example",)
PICKY = Web(names=KNOWN, unknown="reset")
"""A server that itself resets names that it does not serve."""


def hosts(web: Host | None = None, resolver: Host | None = None, control: Host | None = None) -> dict[str, Host]:
    """The far ends: a server, a resolver, our own server; nobody listens at SILENT."""
    return {SERVER: web or Web(), RESOLVER: resolver or Resolver(), CONTROL: control or Web()}


def net(web: Host | None = None, resolver: Host | None = None, control: Host | None = None, **what: Any) -> Network:
    """A network with these far ends."""
    return Network(hosts=hosts(web, resolver, control), **what)


def ask_tcp(network: Network, seed: int = 1, **options: object) -> Judgement:
    """One `tcp_reset` of a banned name."""
    given: dict[str, object] = {
        "target": "http://banned.example/", "address": SERVER,
        "control_name": "good.example", "control_address": CONTROL,
    }  # fmt: skip
    return measure("tcp_reset", network, seed, **(given | options))


def ask_dns(network: Network, seed: int = 1, **options: object) -> Judgement:
    """One `dns_injection` of a banned name."""
    given: dict[str, object] = {
        "target": "banned.example", "resolver": RESOLVER, "silent": SILENT, "control_name": "good.example",
    }  # fmt: skip
    return measure("dns_injection", network, seed, **(given | options))


def claimed(judgement: Judgement) -> tuple[str, str]:
    """(verdict, rule's own name)."""
    return judgement.verdict, judgement.rule.partition("/")[2]


def link(judgement: Judgement) -> tuple[int, int] | None:
    """The two TTLs of the reported link."""
    place = judgement.interference.location if judgement.interference else None
    return (place.clean_ttl, place.first_ttl) if place else None
