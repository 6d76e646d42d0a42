"""OONI's data format 0.2.0 as types, stricter than their own reader: no field that they don't name, nothing lenient."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Failure = (
    Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(connection_(reset|refused)|generic_timeout_error|host_unreachable|eof_error|dns_nxdomain_error|"
            r"dns_no_answer|dns_refused_error|dns_server_misbehaving|ssl_unknown_authority|unknown_failure: .+)$"
        ),
    ]
    | None
)
When = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Strict: dict[str, Any] = {"forbid_unknown_fields": True, "kw_only": True}


class Timed(msgspec.Struct, **Strict):
    t0: Seconds
    t: Seconds
    tags: list[str]


class Transaction(Timed, **Strict):
    transaction_id: Annotated[int, msgspec.Meta(ge=1)]


class Answer(msgspec.Struct, **Strict):  # df-002
    answer_type: Literal["A", "AAAA", "CNAME"]
    ttl: int | None
    ipv4: str | msgspec.UnsetType = msgspec.UNSET
    ipv6: str | msgspec.UnsetType = msgspec.UNSET
    hostname: str | msgspec.UnsetType = msgspec.UNSET


class Query(Transaction, **Strict):  # df-002
    answers: list[Answer] | None
    engine: Literal["system", "udp"]
    failure: Failure
    hostname: str
    query_type: Literal["A", "AAAA"]
    raw_response: None
    rcode: int | None
    resolver_address: str
    resolver_hostname: None
    resolver_port: None


class Status(msgspec.Struct, **Strict):
    failure: Failure
    success: bool


class TcpConnect(Transaction, **Strict):  # df-005
    ip: str
    port: Port
    status: Status


class TlsHandshake(Transaction, **Strict):  # df-006
    network: Literal["tcp"]
    address: str
    cipher_suite: str
    failure: Failure
    negotiated_protocol: str
    no_tls_verify: bool
    peer_certificates: None
    server_name: str
    tls_version: str


class Event(Timed, **Strict):  # df-008
    operation: Literal["connect", "read", "write"]
    address: str
    proto: Literal["udp"]
    failure: Failure
    num_bytes: int | None


class Tor(msgspec.Struct, **Strict):
    exit_ip: None
    exit_name: None
    is_tor: bool


class Asked(msgspec.Struct, **Strict):  # df-001
    url: str
    method: Literal["GET"]
    headers: dict[str, str]
    headers_list: list[list[str]]
    body: str
    body_is_truncated: bool
    tor: Tor


class Got(msgspec.Struct, **Strict):
    code: int | None
    body: str | None
    body_is_truncated: bool
    headers: dict[str, str]
    headers_list: list[list[str]]


class Request(Transaction, **Strict):  # df-001
    network: Literal["tcp"]
    address: str
    alpn: str
    failure: Failure
    request: Asked
    response: Got


class ControlDns(msgspec.Struct, **Strict):  # ts-017, as all of control
    failure: Failure
    addrs: list[str]


class ControlTcp(msgspec.Struct, **Strict):
    status: bool
    failure: Failure


class ControlTls(ControlTcp, **Strict):
    server_name: str


class ControlHttp(msgspec.Struct, **Strict):
    body_length: int | None
    failure: Failure
    title: str | None
    headers: dict[str, str] | None
    status_code: int | None


class Control(msgspec.Struct, **Strict):
    dns: ControlDns | None
    tcp_connect: dict[str, ControlTcp]
    tls_handshake: dict[str, ControlTls]
    http_request: ControlHttp | None


class Lists(msgspec.Struct, **Strict):
    client_resolver: str | None
    network_events: list[Event]
    queries: list[Query]
    requests: list[Request]
    tcp_connect: list[TcpConnect]
    tls_handshakes: list[TlsHandshake]
    socksproxy: str | None


class WebConnectivity(Lists, **Strict):  # ts-017
    accessible: bool | None
    blocking: Literal["dns", "tcp_ip", "http-failure", "http-diff", False] | None
    body_length_match: bool | None
    body_proportion: float | None
    control: Control
    control_failure: Failure
    dns_consistency: Literal["consistent", "inconsistent"] | None
    dns_experiment_failure: Failure
    headers_match: bool | None
    http_experiment_failure: Failure
    retries: int | None
    status_code_match: bool | None
    title_match: bool | None


class UrlGetter(Lists, **Strict):  # ts-027
    agent: Literal["redirect"]
    failure: Failure
    failed_operation: Literal["resolve", "connect", "read"] | None


class StunReachability(msgspec.Struct, **Strict):  # ts-025
    client_resolver: None
    endpoint: str
    failure: Failure
    network_events: list[Event]
    queries: list[Query]


class Tampering(msgspec.Struct, **Strict):  # ts-006
    total: bool | None
    request_line_capitalization: bool | None
    header_name_capitalization: bool | None
    header_field_name: bool | None
    header_field_value: bool | None
    header_field_number: bool | None
    header_name_diff: list[str]


class HeaderFields(msgspec.Struct, **Strict):  # ts-006
    client_resolver: None
    requests: list[Request]
    tampering: Tampering


TESTS: dict[str, type[msgspec.Struct]] = {
    "web_connectivity": WebConnectivity, "urlgetter": UrlGetter, "stunreachability": StunReachability,
    "http_header_field_manipulation": HeaderFields,
}  # fmt: skip


class Measurement(msgspec.Struct, **Strict):  # df-000
    annotations: dict[str, str]
    data_format_version: Literal["0.2.0"]
    extensions: dict[Literal["dnst", "httpt", "netevents", "tcpconnect", "tlshandshake"], Literal[0]]
    input: str | None
    measurement_start_time: When
    probe_asn: Annotated[str, msgspec.Meta(pattern=r"^AS\d+$")]
    probe_cc: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
    probe_ip: Literal["127.0.0.1"]
    probe_network_name: str
    report_id: Literal[""]
    resolver_asn: Literal["AS0"]
    resolver_ip: str
    resolver_network_name: str
    software_name: str
    software_version: str
    test_helpers: dict[str, str]
    test_keys: dict[str, Any]
    test_name: Literal["web_connectivity", "urlgetter", "stunreachability", "http_header_field_manipulation"]
    test_runtime: Seconds
    test_start_time: When
    test_version: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\S+$")]


def check(measurement: dict[str, Any]) -> Measurement:
    """Raises msgspec.ValidationError for what the format does not allow. Keys of extensions begin with ``x_``."""
    found = msgspec.convert(_without_extensions(measurement), Measurement)
    msgspec.convert(found.test_keys, TESTS[found.test_name])
    return found


def _without_extensions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_extensions(one) for key, one in value.items() if not key.startswith("x_")}
    return [_without_extensions(one) for one in value] if isinstance(value, list) else value
