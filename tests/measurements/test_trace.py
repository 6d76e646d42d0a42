"""Plain paths: endpoints, sweeps of one flow, what routers quote back."""

from __future__ import annotations

import pytest

from probe.measurements._trace import Protocol, TraceHop, _changes, endpoint
from probe.model.errors import UsageError
from probe.model.packet import Icmp, Packet, Tcp


@pytest.mark.parametrize(
    ("target", "port", "protocol", "expected"),
    [
        ("203.0.113.10", 0, "tcp", ("203.0.113.10", 80)),
        ("203.0.113.10:443", 0, "tcp", ("203.0.113.10", 443)),
        ("203.0.113.10", 22, "tcp", ("203.0.113.10", 22)),
        ("203.0.113.10", 0, "udp", ("203.0.113.10", 33434)),
        ("2001:db8::1", 0, "tcp", ("2001:db8::1", 80)),
        ("[2001:db8::1]:443", 0, "tcp", ("2001:db8::1", 443)),
    ],
)
def test_endpoints(target: str, port: int, protocol: Protocol, expected: tuple[str, int]) -> None:
    assert endpoint(target, port, protocol) == expected


@pytest.mark.parametrize("target", ["example.org", "203.0.113.10:x", "203.0.113.10:70000", "[2001:db8::1", ""])
def test_what_is_no_endpoint(target: str) -> None:
    with pytest.raises(UsageError):
        endpoint(target, 0, "tcp")


def test_a_hop_shows_no_address_of_the_home() -> None:
    shown = TraceHop(1, {"0.0.0.1": 3}, 0.0021, (), arrived=False).show()
    assert shown == {"ttl": 1, "routers": {}, "home": True, "rtt_ms": 2.1, "changed": [], "arrived": False}


def test_what_a_router_quotes_otherwise_was_rewritten() -> None:
    sent = Packet(4, "me", "there", 5, 6, 44, ident=7, header=Tcp(1, 2, 100, 0, 2, 1000, options=b"\2\4\5\xb4"))

    def quoting(**other: object) -> Packet:
        fields = {"tos": 0, "ident": 7, "length": 44} | {k: v for k, v in other.items() if k != "header"}
        header = other.get("header", sent.header)
        quoted = Packet(4, "me", "there", 1, 6, header=header, **fields)  # type: ignore[arg-type]
        return Packet(4, "router", "me", 60, 1, 72, header=Icmp(11, 0, quoted=quoted))

    assert _changes(sent, quoting()) == set()
    assert _changes(sent, quoting(tos=8, ident=9)) == {"tos", "ip_id"}
    other = Tcp(1, 2, 999, 0, 2, 1000, options=b"\2\4\5\x50")
    assert _changes(sent, quoting(header=other)) == {"sequence", "tcp_options"}
    assert _changes(sent, quoting(header=Tcp(1, 2, 100, 0, 0, 0))) == set()  # a short quote hides the rest
    assert _changes(sent, sent) == set()
