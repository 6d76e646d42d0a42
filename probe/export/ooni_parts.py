"""The building blocks of OONI measurements: entries of ``queries``, ``tcp_connect``, ``requests`` and their kin.

OONI data formats 0.2.0: df-001 (httpt), df-002 (dnst), df-005 (tcpconnect), df-006 (tlshandshake), df-007 (errors),
df-008 (netevents). A finding keeps how long things took, not when in the run they happened: ``t0`` is 0 and ``t`` the
time taken, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probe.export.attempts import TIMEOUT, seconds
from probe.export.lookups import Lookup
from probe.wire import dns

NXDOMAIN, NO_ANSWER, DNS_REFUSED, SERVFAIL = (
    "dns_nxdomain_error", "dns_no_answer", "dns_refused_error", "dns_server_misbehaving",
)  # fmt: skip
_RCODES = {dns.NXDOMAIN: NXDOMAIN, dns.REFUSED: DNS_REFUSED}
_RECORDS = {dns.A: "A", dns.AAAA: "AAAA", dns.CNAME: "CNAME"}


def unresolved(lookup: Lookup) -> str | None:
    """Why a lookup failed, as df-007 spells it; None where there are addresses."""
    if lookup.rcode is None:
        return TIMEOUT
    if lookup.rcode == dns.NOERROR:
        return None if lookup.addresses else NO_ANSWER
    return _RCODES.get(lookup.rcode, SERVFAIL)


def endpoint(address: str, port: int) -> str:
    """``ADDRESS:PORT``, as Go writes it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def query(lookup: Lookup, engine: str, number: int) -> dict[str, Any]:
    """An entry of ``queries`` (df-002). ``number``: the transaction's.

    ``engine`` ``system``: what a program on the line gets that uses this resolver; ``x_transport`` says what was sent.
    """
    kinds = {kind for kind, _ in lookup.records}
    return {
        "answers": [_answer(kind, text, lookup.lifetime) for kind, text in lookup.records if kind in _RECORDS] or None,
        "engine": engine,
        "failure": unresolved(lookup),
        "hostname": lookup.name,
        "query_type": "AAAA" if dns.AAAA in kinds and dns.A not in kinds else "A",
        "raw_response": None,
        "rcode": lookup.rcode,
        "resolver_address": endpoint(lookup.resolver, 53),
        "resolver_hostname": None,
        "resolver_port": None,
        "t0": 0.0,
        "t": seconds(lookup.after_ms),
        "tags": ["classic"] if engine == "system" else [],
        "transaction_id": number,
        "x_transport": "udp",
    }


def _answer(kind: int, text: str, ttl: int | None) -> dict[str, Any]:
    field = {dns.A: "ipv4", dns.AAAA: "ipv6"}.get(kind, "hostname")
    return {"answer_type": _RECORDS[kind], field: text, "ttl": ttl}


def tcp_connect(address: str, port: int, failure: str | None, lasted: float, number: int) -> dict[str, Any]:
    """An entry of ``tcp_connect`` (df-005); ``lasted``: seconds."""
    return {
        "ip": address, "port": port, "status": {"failure": failure, "success": failure is None},
        "t0": 0.0, "t": lasted, "tags": [], "transaction_id": number,
    }  # fmt: skip


def tls_handshake(
    address: str, port: int, name: str, failure: str | None, lasted: float, number: int
) -> dict[str, Any]:
    """An entry of ``tls_handshakes`` (df-006). A finding holds no certificates: its evidence does."""
    return {
        "network": "tcp", "address": endpoint(address, port), "cipher_suite": "", "failure": failure,
        "negotiated_protocol": "", "no_tls_verify": True, "peer_certificates": None, "server_name": name,
        "t0": 0.0, "t": lasted, "tags": [], "tls_version": "", "transaction_id": number,
    }  # fmt: skip


def request(url: str, where: str, failure: str | None, lasted: float, number: int) -> dict[str, Any]:
    """An entry of ``requests`` (df-001); ``where``: the endpoint. A finding holds no pages: its evidence does."""
    none = {"body": "", "body_is_truncated": False, "headers": {}, "headers_list": []}
    return {
        "network": "tcp", "address": where, "alpn": "", "failure": failure,
        "request": {**none, "url": url, "method": "GET", "tor": {"exit_ip": None, "exit_name": None, "is_tor": False},
                    "x_transport": "tcp"},
        "response": {**none, "body": None, "code": None},
        "t0": 0.0, "t": lasted, "tags": [], "transaction_id": number,
    }  # fmt: skip


def event(operation: str, where: str, failure: str | None, at: float) -> dict[str, Any]:
    """An entry of ``network_events`` (df-008) of a UDP socket; ``at``: seconds."""
    return {
        "operation": operation, "address": where, "proto": "udp", "failure": failure, "num_bytes": None,
        "t0": 0.0, "t": at, "tags": [],
    }  # fmt: skip


def first_failure(entries: Sequence[dict[str, Any]]) -> str | None:
    """The first failure among entries, those of ``tcp_connect`` included."""
    failures = (entry["status"]["failure"] if "status" in entry else entry["failure"] for entry in entries)
    return next((failure for failure in failures if failure is not None), None)
