"""Findings as OONI measurements, data format 0.2.0 (df-000).

Which test a finding becomes follows from what was measured and from whether OONI's own comparison, of what the line got
with what the control got, comes to the finding's verdict; where it can't, it becomes a ``urlgetter``, which says what
happened and judges nothing. ``test_keys.x_colibri`` holds the whole finding in every case.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from probe.export import ooni_other, ooni_parts, ooni_web
from probe.export.details import Calls, Connections, Datagrams, Details, Holes, Injection, Looks, Resolver, read
from probe.export.ooni_web import Web
from probe.model.errors import MalformedRecord
from probe.model.finding import Finding

DATA_FORMAT = "0.2.0"
UNKNOWN_COUNTRY = "ZZ"
UNKNOWN_RESOLVER = "127.0.0.2"
"""What OONI's own probes write where they don't know."""
SCRUBBED = "127.0.0.1"
"""What OONI's own probes write for the home's address."""
_REPLACED = ("block_page", "tls_interception")


class Test(NamedTuple):
    """An OONI test: its name, its input, its test keys, and the resolver that stood for the line's own."""

    name: str
    input: str | None
    keys: dict[str, Any]
    resolver: str = ""


def measurement(finding: Finding, lost: Counter[str]) -> dict[str, Any]:
    """The measurement of one finding, ready for JSON."""
    test = _test(finding, _details(finding, lost), lost)
    line, at = finding.line, f"{finding.started_at[:10]} {finding.started_at[11:19]}"
    software, _, version = finding.probe.software.partition(" ")
    return {
        "annotations": _annotations(finding),
        "data_format_version": DATA_FORMAT,
        "extensions": {"dnst": 0, "httpt": 0, "netevents": 0, "tcpconnect": 0, "tlshandshake": 0},
        "input": test.input,
        "measurement_start_time": at,
        "probe_asn": f"AS{line.asn}",
        "probe_cc": line.country or UNKNOWN_COUNTRY,
        "probe_ip": SCRUBBED,
        "probe_network_name": line.operator,
        "report_id": "",
        "resolver_asn": "AS0",
        "resolver_ip": test.resolver or UNKNOWN_RESOLVER,
        "resolver_network_name": "",
        "software_name": software or "colibri",
        "software_version": version or "unknown",
        "test_helpers": {},
        "test_keys": {**test.keys, "x_colibri": msgspec.to_builtins(finding)},
        "test_name": test.name,
        "test_runtime": finding.duration_s,
        "test_start_time": at,
        "test_version": f"0.0.{finding.version}",
    }


def _annotations(finding: Finding) -> dict[str, str]:
    found = {"engine_name": "colibri", "clock": finding.clock}
    return found | ({"network_type": "mobile"} if finding.line.access == "mobile" else {})


def _details(finding: Finding, lost: Counter[str]) -> Details | None:
    try:
        return read(finding)
    except MalformedRecord as error:
        lost[f"{error}: in x_colibri only"] += 1
        return None


def _test(finding: Finding, seen: Details | None, lost: Counter[str]) -> Test:
    web = _web(finding, seen)
    if web is not None:
        resolver = seen.resolver if isinstance(seen, Injection | Resolver) else ""
        return Test("web_connectivity", web.input, web.keys, resolver)
    if isinstance(seen, Looks):
        keys = ooni_other.headers(finding, seen)
        # What was changed in the answer, or in the order of headers, is none of theirs.
        if finding.verdict != "interfered" or any(keys["tampering"].values()):
            return Test("http_header_field_manipulation", None, keys)
    stun = _stun(finding, seen)
    if stun is not None:
        return stun
    technique = finding.interference.technique if finding.interference else ""
    if technique:
        lost[f"verdict {technique} of {finding.measurement}: no OONI test judges it, in x_colibri only"] += 1
    return Test("urlgetter", _input(finding, seen), ooni_other.plain(finding, seen))


def _web(finding: Finding, seen: Details | None) -> Web | None:
    if isinstance(seen, Injection):
        return ooni_web.injection(finding, seen)
    if isinstance(seen, Resolver):
        return ooni_web.resolver(finding, seen)
    if isinstance(seen, Connections):
        return ooni_web.connections(finding, seen)
    technique = finding.interference.technique if finding.interference else ""
    if isinstance(seen, Looks) and technique in _REPLACED:
        return ooni_web.replaced(finding, seen)
    return None


def _stun(finding: Finding, seen: Details | None) -> Test | None:
    target = finding.target
    if isinstance(seen, Datagrams) and seen.trigger == "stun":
        for end in seen.ends:
            if (end.address, end.port) == (target.address, target.port):
                where = f"stun://{ooni_parts.endpoint(end.address, end.port)}"
                return Test("stunreachability", where, ooni_other.stun(finding, end.address, end.port, end.triggers))
    technique = finding.interference.technique if finding.interference else ""
    if isinstance(seen, Calls) and technique == "voip_stun":
        where = f"stun://{ooni_parts.endpoint(target.address, ooni_other.STUN_PORT)}"
        return Test("stunreachability", where, ooni_other.stun(finding, target.address, ooni_other.STUN_PORT, ()))
    return None


def _input(finding: Finding, seen: Details | None) -> str:
    """The input as ``urlgetter`` wants it, a URL that says what is tried."""
    if isinstance(seen, Injection | Resolver):
        return f"dnslookup://{finding.target.name or finding.target.input}"
    if isinstance(seen, Holes) and finding.target.address:
        ports = next((list(row.ports) for row in seen.addresses if row.address == finding.target.address), [])
        return f"tcpconnect://{ooni_parts.endpoint(finding.target.address, int(ports[0]) if ports else 0)}"
    return finding.target.input
