"""``web_connectivity`` (OONI ts-017): what a home gets beside what a control gets, and whether that is blocking.

``blocking`` and ``accessible`` are the finding's verdict in OONI's words. ``accessible`` is true only where a server
answered: a DNS measurement that asked none leaves it open.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from probe.export import attempts, lookups
from probe.export import ooni_parts as parts
from probe.export.details import Connection, Connections, Injection, Looks, Resolver
from probe.export.lookups import Lookup, name_of
from probe.model.finding import Finding


class Web(NamedTuple):
    """The input of the measurement and its test keys."""

    input: str
    keys: dict[str, Any]


def url(finding: Finding, scheme: str = "http") -> str:
    """What was measured as the URL that OONI wants: as it was asked for if it is one, else made of the name."""
    target = finding.target
    if target.input.startswith(("http://", "https://")):
        return target.input
    name = target.name or target.input
    return f"{scheme}://{f'[{name}]' if ':' in name else quote(name, safe='.-_~')}/"


def injection(finding: Finding, seen: Injection) -> Web | None:
    """``dns_injection``: the first answer of each trial is what a program on the line takes; the control is what came
    from the resolver's own distance. None where the two don't tell what the finding says."""
    line = [trial[0] for trial in lookups.trials(finding, seen)]
    return _dns(finding, line, lookups.genuine(finding, seen), set())


def resolver(finding: Finding, seen: Resolver) -> Web | None:
    """``dns_resolver``: the line's own resolver beside the trusted one, and the servers that the latter names."""
    line, control = (lookups.asked(finding, seen, who) for who in ("resolver", "control"))
    proven = {address for address, one in seen.servers.before.items() if one.right}
    proven |= {address for address, looks in seen.servers.other.items() if any(one.right for one in looks)}
    return _dns(finding, line, control, proven)


def connections(finding: Finding, seen: Connections) -> Web | None:
    """``tcp_reset``: connections that bear the name beside their harmless twins to the same address. None where the
    name's own got through all the same, as when a forged reset comes behind the answer."""
    if not seen.trials or not seen.twins or not finding.target.address:
        return None
    secure = seen.trigger == "tls"
    address, port = finding.target.address, seen.port
    where = parts.endpoint(address, port)
    link = url(finding, "https" if secure else "http")
    keys = _keys()
    for number, one in enumerate(seen.trials, 1):
        shut = attempts.dialled(one)
        lasted = attempts.seconds(one.handshake_ms or 0.0)
        keys["tcp_connect"].append(parts.tcp_connect(address, port, shut, lasted, number))
        if shut is not None:
            keys["requests"].insert(0, parts.request(link, where, shut, lasted, number))
            continue
        failure, lasted = _went(finding, seen, one), attempts.took(one)
        if secure:
            keys["tls_handshakes"].append(
                # The ClientHello alone was sent: an answer to it says that the handshake was let through.
                {**parts.tls_handshake(address, port, name_of(finding), failure, lasted, number), "x_hello_only": True}
            )
        if failure is not None or not secure:
            keys["requests"].insert(0, parts.request(link, where, failure, lasted, number))
    technique = finding.interference.technique if finding.interference else ""
    if technique not in ("", "block_page") and parts.first_failure(keys["requests"]) is None:
        return None
    opened = any(attempts.dialled(one) is None for one in seen.twins)
    answered = any(attempts.dialled(one) is None and attempts.went(one) is None for one in seen.twins)
    shut, failure = attempts.dialled(seen.twins[0]), attempts.dialled(seen.twins[0]) or attempts.went(seen.twins[0])
    failure = None if answered else failure
    keys["control"] = {
        "dns": None,
        "tcp_connect": {where: {"status": opened, "failure": None if opened else shut}},
        "tls_handshake": {where: {"status": answered, "failure": failure, "server_name": seen.twin}} if secure else {},
        "http_request": None if secure else _page(failure),
    }
    _judge(keys, finding, _cause(finding, keys), reached=True)
    keys["http_experiment_failure"] = parts.first_failure(keys["requests"])
    return Web(link, keys)


def replaced(finding: Finding, seen: Looks) -> Web | None:
    """``tampering`` where somebody else answers (a page, a certificate): our far end, asked as if it were the site,
    beside itself at a port that nobody filters. None where there is neither."""
    technique = finding.interference.technique if finding.interference else ""
    kind = {"tls_interception": "tls", "block_page": "http"}.get(technique, "")
    ports = seen.ports.get(kind, [])
    looks = seen.trials(kind)
    if not looks or not ports:
        return None
    link = url(finding, "https" if kind == "tls" else "http")
    where = parts.endpoint(seen.far, ports[0])
    keys = _keys()
    for number, look in enumerate(looks, 1):
        keys["tcp_connect"].append(parts.tcp_connect(seen.far, ports[0], None, 0.0, number))
        failure = f"unknown_failure: {look.failure}" if look.failure else None
        if kind == "tls":
            failure = failure or (None if look.own else "ssl_unknown_authority")
            shake = parts.tls_handshake(seen.far, ports[0], name_of(finding), failure, 0.0, number)
            keys["tls_handshakes"].append({**shake, "x_issuer": look.issuer})
        keys["requests"].insert(0, parts.request(link, where, failure, 0.0, number))
    own = {"status": True, "failure": None}
    keys["control"] = {
        "dns": None, "tcp_connect": {where: own}, "http_request": _page(None),
        "tls_handshake": {where: {**own, "server_name": name_of(finding)}} if kind == "tls" else {},
    }  # fmt: skip
    keys["headers_match"] = False if kind == "http" else None
    keys["http_experiment_failure"] = parts.first_failure(keys["requests"])
    _judge(keys, finding, "http-failure" if kind == "tls" else "http-diff", reached=True)
    return Web(link, keys)


def _dns(finding: Finding, line: list[Lookup], control: list[Lookup], proven: set[str]) -> Web | None:
    """``proven``: addresses of servers that showed the name's certificate."""
    if not line or not control:
        return None
    known = frozenset(address for one in control for address in one.addresses)
    consistent = all(_agrees(one, known) for one in line)
    if finding.verdict == "interfered" and consistent:
        return None  # OONI's own comparison would find nothing: what is wrong is who answers
    if finding.verdict == "clean" and not any(_agrees(one, known | proven if known else known) for one in line):
        return None  # … or would accuse, where other grounds say that other addresses are the name's too
    keys = _keys()
    keys["queries"] = [parts.query(one, "system", number) for number, one in enumerate(line, 1)]
    keys["tls_handshakes"] = [
        parts.tls_handshake(address, 443, name_of(finding), None, 0.0, number)
        for number, address in enumerate(sorted(proven), len(line) + 1)
    ]  # fmt: skip
    keys["control"] = {
        "dns": {"failure": None if known else parts.unresolved(control[0]), "addrs": sorted(known)},
        "tcp_connect": {}, "tls_handshake": {}, "http_request": None,
    }  # fmt: skip
    keys["dns_experiment_failure"] = parts.unresolved(line[0])
    if finding.verdict in ("clean", "interfered"):
        # Clean though addresses differ: a certificate proved them, which OONI counts as consistent, too.
        keys["dns_consistency"] = "consistent" if finding.verdict == "clean" else "inconsistent"
    _judge(keys, finding, "dns", reached=bool(keys["tls_handshakes"]))
    return Web(url(finding), keys)


def _went(finding: Finding, seen: Connections, one: Connection) -> str | None:
    """What a program on the line sees. A finding does not say when an end of stream came: where connections are torn
    down, one more than twins have is the forged one, and came first."""
    failure = attempts.went(one)
    torn = finding.interference is not None and finding.interference.technique == "tcp_reset"
    if failure is None and torn and not one.resets and one.fins > max(twin.fins for twin in seen.twins):
        return attempts.EOF
    return failure


def _agrees(one: Lookup, known: frozenset[str]) -> bool:
    return bool(one.addresses & known) if known else not one.addresses


def _judge(keys: dict[str, Any], finding: Finding, cause: str, *, reached: bool) -> None:
    """``reached``: whether a server was asked, so that ``clean`` says that it answers."""
    said: dict[str, tuple[str | bool | None, bool | None]] = {
        "interfered": (cause, False), "clean": (False, True if reached else None), "down": (False, False),
        "inconclusive": (None, None),
    }  # fmt: skip
    keys["blocking"], keys["accessible"] = said[finding.verdict]


def _cause(finding: Finding, keys: dict[str, Any]) -> str:
    if finding.interference is not None and finding.interference.technique == "block_page":
        return "http-diff"
    shut = sum(not one["status"]["success"] for one in keys["tcp_connect"])
    return "tcp_ip" if 2 * shut > len(keys["tcp_connect"]) else "http-failure"


def _page(failure: str | None) -> dict[str, Any]:
    """``control.http_request``: a finding keeps that a page came, not what it said."""
    return {"body_length": None, "failure": failure, "title": None, "headers": None, "status_code": None}


def _keys() -> dict[str, Any]:
    lists: dict[str, Any] = {
        key: [] for key in ("network_events", "queries", "requests", "tcp_connect", "tls_handshakes")
    }
    unknown = (
        "accessible", "blocking", "body_length_match", "body_proportion", "client_resolver", "control",
        "control_failure", "dns_consistency", "dns_experiment_failure", "headers_match", "http_experiment_failure",
        "retries", "socksproxy", "status_code_match", "title_match",
    )  # fmt: skip
    return {**lists, **dict.fromkeys(unknown)}
