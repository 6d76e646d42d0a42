"""The other OONI tests that findings fit: ``stunreachability`` (ts-025), ``http_header_field_manipulation`` (ts-006),
and ``urlgetter`` (ts-027) for all that no test of theirs has a verdict for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from probe.export import attempts, lookups
from probe.export import ooni_parts as parts
from probe.export.details import Connections, Datagram, Datagrams, Details, Holes, Injection, Look, Looks, Resolver
from probe.model.finding import Finding

STUN_PORT = 3478
_STATES = {"open": None, "closed": attempts.REFUSED, "refused": attempts.UNREACHABLE, "silent": attempts.TIMEOUT}
_CALLS = frozenset({"udp_block", "port_block", "voip_signalling", "voip_stun", "voip_media"})
_HEADER = re.compile(r"(got|lost|the letter case of|the value of) '(.*)'")


def stun(finding: Finding, address: str, port: int, datagrams: Sequence[Datagram]) -> dict[str, Any]:
    """Test keys of ``stunreachability``. Its ``failure`` is the finding's verdict: None where STUN works."""
    where = parts.endpoint(address, port)
    events = [parts.event("connect", where, None, 0.0)]
    for one in datagrams:
        events.append(parts.event("write", where, None, 0.0))
        failure = attempts.TIMEOUT if one.answered_ms is None else None
        failure = attempts.REFUSED if one.rejected else failure
        events.append(parts.event("read", where, failure, attempts.seconds(one.answered_ms or 0.0)))
    said = {"clean": None, "inconclusive": f"unknown_failure: inconclusive ({finding.rule})"}
    return {
        "endpoint": where, "failure": said.get(finding.verdict, attempts.TIMEOUT), "network_events": events,
        "queries": [], "client_resolver": None,
    }  # fmt: skip


def headers(finding: Finding, seen: Looks) -> dict[str, Any]:
    """Test keys of ``http_header_field_manipulation``: what our far end got otherwise than it was sent."""
    looks = seen.trials("http")
    changes = [change for look in looks for change in look.changes if look.own]
    found = [match.groups() for change in changes if (match := _HEADER.fullmatch(change))]
    ways = {way for way, _ in found}
    judged = bool(looks) and finding.verdict != "inconclusive"
    port = (seen.ports.get("http") or [0])[0]
    where = parts.endpoint(seen.far, port)
    tampering = {
        "total": any(not look.own for look in looks),
        "request_line_capitalization": "the request line" in changes,
        "header_name_capitalization": "the letter case of" in ways,
        "header_field_name": bool({"got", "lost"} & ways),
        "header_field_value": "the value of" in ways,
        "header_field_number": any(_added(look) for look in looks),
    }
    return {
        "client_resolver": None,
        "requests": [
            parts.request(f"http://{where}/", where, f"unknown_failure: {one.failure}" if one.failure else None, 0.0, n)
            for n, one in enumerate(looks, 1)
        ],
        "tampering": {
            **(tampering if judged else dict.fromkeys(tampering)),
            "header_name_diff": sorted({name for _, name in found}),
        },
    }


def _added(look: Look) -> int:
    """Headers that arrived beyond those that were sent; negative where some are missing."""
    ways = [match[1] for change in look.changes if (match := _HEADER.fullmatch(change))]
    return ways.count("got") - ways.count("lost")


def plain(finding: Finding, seen: Details | None) -> dict[str, Any]:
    """Test keys of ``urlgetter``: what was tried and how it failed, without a verdict."""
    lists: dict[str, Any] = {
        key: [] for key in ("network_events", "queries", "requests", "tcp_connect", "tls_handshakes")
    }
    operation = "read"
    if isinstance(seen, Injection | Resolver):
        lists["queries"], operation = _queries(finding, seen), "resolve"
    elif isinstance(seen, Holes):
        ports = [(row.address, int(port), state) for row in seen.addresses for port, state in row.ports.items()]
        lists["tcp_connect"] = [
            parts.tcp_connect(address, port, _STATES.get(state, f"unknown_failure: {state}"), 0.0, number)
            for number, (address, port, state) in enumerate(ports, 1)
        ]
        operation = "connect"
    elif isinstance(seen, Connections):
        lists["tcp_connect"] = [
            parts.tcp_connect(finding.target.address, seen.port, attempts.dialled(one), attempts.took(one), number)
            for number, one in enumerate(seen.trials, 1)
        ]
        operation = "connect"
    elif isinstance(seen, Datagrams):
        for end in seen.ends:
            lists["network_events"] += stun(finding, end.address, end.port, end.triggers)["network_events"]
    failure = parts.first_failure([entry for entries in lists.values() for entry in entries])
    technique = finding.interference.technique if finding.interference else ""
    if failure is None and technique in _CALLS:
        failure = attempts.TIMEOUT
    return {
        **lists, "agent": "redirect", "failure": failure, "failed_operation": operation if failure else None,
        "socksproxy": None, "client_resolver": None,
    }  # fmt: skip


def _queries(finding: Finding, seen: Injection | Resolver) -> list[dict[str, Any]]:
    """All that was asked about the target, of the resolver and of the address that runs none."""
    if isinstance(seen, Injection):
        said = lookups.replies(finding, seen)
    else:
        said = [one for who in ("resolver", "silent") for one in lookups.asked(finding, seen, who)]
    # Nothing from an address that runs no resolver is as it should be, no failure.
    said = [one for one in said if one.rcode is not None or one.resolver != seen.silent]
    return [parts.query(one, "udp", number) for number, one in enumerate(said, 1)]
