"""Findings as RIPE Atlas results (firmware 5080): ``traceroute``, ``dns``, ``sslcert``.

A finding may hold several: what was asked of a resolver and the way there. Atlas knows no verdicts: ``x_colibri`` names
the finding, its verdict and its rule. ``from`` and ``src_addr`` are empty, as a home's address never leaves it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from math import ceil
from typing import Any

from probe.export import atlas_parts, attempts, lookups
from probe.export.details import (
    Connection,
    Connections,
    Datagrams,
    Details,
    Holes,
    Injection,
    Looks,
    Resolver,
    Trace,
    read,
)  # fmt: skip
from probe.model.errors import MalformedRecord
from probe.model.finding import Finding

FIRMWARE = 5080
OWN = 1_000_000_000
"""Our identifiers begin here, beyond those that Atlas gives out: they are made of names, by SHA-256."""
_NAMES = {"traceroute": "Traceroute", "dns": "Tdig", "sslcert": "SSLCert"}
_ERRORS = {
    attempts.TIMEOUT: "timeout", attempts.REFUSED: "Connection refused", attempts.UNREACHABLE: "No route to host",
    attempts.RESET: "Connection reset by peer", attempts.EOF: "unexpected EOF",
}  # fmt: skip


def results(finding: Finding, lost: Counter[str]) -> list[dict[str, Any]]:
    """All results of one finding, ready for JSON; empty where Atlas measures nothing of the kind."""
    try:
        at = int(datetime.fromisoformat(finding.started_at).timestamp())
    except ValueError:
        lost["started_at: no date of the calendar"] += 1
        return []
    try:
        seen = read(finding)
    except MalformedRecord as error:
        lost[str(error)] += 1
        return []
    found = [*_traceroutes(finding, seen, at), *_dns(finding, seen, at, lost), *_sslcerts(finding, seen, at)]
    if not found:
        lost[f"{finding.measurement}: nothing that RIPE Atlas measures"] += 1
    if isinstance(seen, Connections | Resolver | Looks):
        lost[f"certificates and pages of {finding.measurement}: in the evidence alone"] += 1
    return found


def own_id(*names: str) -> int:
    """An identifier made of names: the same ones give the same."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return OWN + (int.from_bytes(digest[:4], "big") & 0x3FFFFFFF)


def _base(finding: Finding, kind: str, address: str, at: int) -> dict[str, Any]:
    technique = finding.interference.technique if finding.interference else ""
    return {
        "fw": FIRMWARE, "type": kind, "msm_name": _NAMES[kind],
        "msm_id": own_id(finding.measurement, finding.target.input, kind), "prb_id": own_id(finding.probe.id),
        "timestamp": at, "lts": _lts(finding),
        "from": "", "src_addr": "", "dst_addr": address, "dst_name": lookups.name_of(finding),
        "af": atlas_parts.family(address),
        "x_colibri": {"finding": finding.id, "verdict": finding.verdict, "technique": technique, "rule": finding.rule},
    }  # fmt: skip


def _lts(finding: Finding) -> int:
    """Seconds since the clock was right; -1: nobody knows."""
    return 0 if finding.clock == "synchronised" else -1


def _traceroutes(finding: Finding, seen: Details | None, at: int) -> Iterator[dict[str, Any]]:
    for address, protocol, hops in _paths(finding, seen):
        if hops:
            yield {
                **_base(finding, "traceroute", address, at), "proto": protocol, "paris_id": 1,
                "endtime": at + ceil(finding.duration_s), "result": hops,
            }  # fmt: skip


def _paths(finding: Finding, seen: Details | None) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """(destination, protocol, hops) of every path that a finding holds."""
    to = finding.target.address
    match seen:
        case Injection():
            rtt = seen.control_round_trip_ms if to == seen.resolver else None
            yield to, "UDP", atlas_parts.shown(seen.path, to, seen.arrives_at_ttl, rtt)
        case Resolver():
            for who, sweep in seen.sweeps.items():
                address = {"resolver": seen.resolver, "control": seen.control_resolver}.get(who, seen.silent)
                yield address, "UDP", atlas_parts.shown(sweep.path, address, sweep.arrives_at_ttl, None)
        case Connections():
            rtt = min((one.handshake_ms for one in seen.twins if one.handshake_ms is not None), default=None)
            yield to, "TCP", atlas_parts.shown(seen.path, to, seen.arrives_at_ttl, rtt)
        case Datagrams():
            twins = [one for end in seen.ends if end.address == to for one in end.twins]
            rtt = min((one.answered_ms for one in twins if one.answered_ms is not None), default=None)
            yield to, "UDP", atlas_parts.shown(seen.path, to, seen.arrives_at_ttl, rtt)
        case Looks():
            for sweep in seen.sweeps.values():
                yield seen.far, "TCP", atlas_parts.shown(sweep.path, seen.far, sweep.arrives_at_ttl, None)
        case Trace():
            yield to, seen.protocol.upper(), atlas_parts.traced(seen.path)
        case Holes():
            yield to, "TCP", _dies(finding)
        case _:
            return


def _dies(finding: Finding) -> list[dict[str, Any]]:
    """What ``blackhole`` says of the way: the last router that shows itself, and the silence behind it."""
    where = finding.interference.location if finding.interference else None
    if where is None or where.clean_hop is None or not where.clean_hop.address:
        return []
    return [
        {"hop": where.clean_ttl, "result": [{"from": where.clean_hop.address}]},
        {"hop": where.first_ttl, "result": [atlas_parts.SILENCE]},
    ]


def _dns(finding: Finding, seen: Details | None, at: int, lost: Counter[str]) -> Iterator[dict[str, Any]]:
    made: list[lookups.Lookup] = []
    if isinstance(seen, Injection):
        made = lookups.replies(finding, seen)
    elif isinstance(seen, Resolver):
        made = [one for who in ("resolver", "control", "silent") for one in lookups.asked(finding, seen, who)]
    entries = atlas_parts.resultset(made, at, _lts(finding), lost)
    if entries:
        yield {**_base(finding, "dns", finding.target.address, at), "proto": "UDP", "resultset": entries}


def _sslcerts(finding: Finding, seen: Details | None, at: int) -> Iterator[dict[str, Any]]:
    """TLS that was tried: how long it took, or why it failed."""
    if isinstance(seen, Connections) and seen.trigger == "tls":
        for one in seen.trials:
            yield {**_base(finding, "sslcert", finding.target.address, at), **_tls(seen.port), **_attempt(one)}
    elif isinstance(seen, Resolver):
        for address, server in seen.servers.before.items():
            if server.failure:
                yield {**_base(finding, "sslcert", address, at), **_tls(443), "err": server.failure}
    elif isinstance(seen, Looks) and seen.ports.get("tls"):
        for look in seen.trials("tls"):
            if look.failure:
                yield {**_base(finding, "sslcert", seen.far, at), **_tls(seen.ports["tls"][0]), "err": look.failure}


def _tls(port: int) -> dict[str, Any]:
    return {"dst_port": str(port), "method": "TLS"}


def _attempt(one: Connection) -> dict[str, Any]:
    failure = attempts.dialled(one)
    if failure is not None:
        return {"err": f"connect: {_ERRORS.get(failure, failure)}"}
    times = {} if one.handshake_ms is None else {"ttc": one.handshake_ms}
    if "ttc" in times and (one.resets or one.data):
        times["rt"] = round(attempts.took(one) * 1000, 3)
    failure = attempts.went(one)
    return {**times, **({} if failure is None else {"err": _ERRORS[failure]})}
