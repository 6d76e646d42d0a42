"""DNS questions and what came to them, the same for every measurement that asks and every format that tells."""

from __future__ import annotations

import msgspec

from probe.export.details import Injection, Reply, Resolver, Said
from probe.model.finding import Finding
from probe.wire import dns

_TTL_SLACK = 1  # as in the rules of dns_injection: return paths may differ by a hop
_RCODES = {"nxdomain": dns.NXDOMAIN, "refused": dns.REFUSED}
_TYPE_DIGITS = 5


class Lookup(msgspec.Struct, frozen=True):
    """One query and one answer. ``records``: (type, text); ``rcode`` None: nothing came; ``lifetime``: seconds."""

    resolver: str
    name: str
    rcode: int | None = None
    records: tuple[tuple[int, str], ...] = ()
    after_ms: float = 0.0
    lifetime: int | None = None
    truncated: bool = False

    @property
    def addresses(self) -> frozenset[str]:
        """Of its A and AAAA records."""
        return frozenset(text for kind, text in self.records if kind in (dns.A, dns.AAAA))


def name_of(finding: Finding) -> str:
    """The name that was measured."""
    return finding.target.name or finding.target.input


def trials(finding: Finding, seen: Injection, *, silent: bool = False) -> list[list[Lookup]]:
    """The trials of ``dns_injection``: all answers to each query; where nothing came, one lookup that says so."""
    server = seen.silent if silent else seen.resolver
    made = seen.silent_trials if silent else seen.resolver_trials
    nothing = [Lookup(server, name_of(finding))]
    return [[_replied(finding, server, reply) for reply in trial] or nothing for trial in made]


def replies(finding: Finding, seen: Injection) -> list[Lookup]:
    """All that came to the trials of ``dns_injection``, from the resolver and from the silent address."""
    made = [*trials(finding, seen), *trials(finding, seen, silent=True)]
    return [one for trial in made for one in trial]


def genuine(finding: Finding, seen: Injection) -> list[Lookup]:
    """Whole answers that came from as far away as the resolver's answers about a harmless name."""
    usual = seen.control_ttls
    if not usual:
        return []
    low, high = min(usual) - _TTL_SLACK, max(usual) + _TTL_SLACK
    heard = (reply for trial in seen.resolver_trials for reply in trial)
    return [_replied(finding, seen.resolver, one) for one in heard if low <= one.ttl <= high and not one.truncated]


def asked(finding: Finding, seen: Resolver, who: str) -> list[Lookup]:
    """What ``dns_resolver`` heard about the target from ``resolver``, ``control`` or ``silent``."""
    server = {"resolver": seen.resolver, "control": seen.control_resolver}.get(who, seen.silent)
    return [_said(finding, server, one) for one in seen.answers.get(f"target, {who}", [])]


def _replied(finding: Finding, server: str, reply: Reply) -> Lookup:
    pairs = (answer.partition(" ") for answer in reply.answers)
    records = tuple((int(kind), text) for kind, _, text in pairs if _is_type(kind))
    return Lookup(server, name_of(finding), reply.rcode, records, reply.after_ms, truncated=reply.truncated)


def _is_type(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and len(digits) <= _TYPE_DIGITS


def _said(finding: Finding, server: str, one: Said | None) -> Lookup:
    if one is None:
        return Lookup(server, name_of(finding))
    records = tuple((dns.AAAA if ":" in address else dns.A, address) for address in one.addresses)
    return Lookup(
        server, name_of(finding), _RCODES.get(one.says, one.rcode), records, one.after_ms, one.lifetime, one.truncated
    )
