"""Steps and exchanges: steps survive JSON, exchanges answer the questions that rules ask."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.exchange import (
    FULL_TTL,
    EchoStep,
    Exchange,
    Failure,
    Heard,
    ListenStep,
    PauseStep,
    Step,
    StreamStep,
    SynStep,
    TcpStep,
    TlsStep,
    TransferStep,
    UdpStep,
)
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp

SECONDS = st.floats(0, 3600)
PORT, TTL = st.integers(0, 65535), st.integers(0, 255)
ADDRESS = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).map(str)
PAYLOAD, FLOW = st.binary(max_size=80), st.text(max_size=8)
STEPS: Any = st.one_of(
    st.builds(UdpStep, address=ADDRESS, port=PORT, payload=PAYLOAD, ttl=TTL, flow=FLOW, wait=SECONDS, linger=SECONDS,
              match=st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99))),
    st.builds(TcpStep, address=ADDRESS, port=PORT, payload=PAYLOAD, ttl=TTL, connect_wait=SECONDS, wait=SECONDS,
              linger=SECONDS, read_limit=st.integers(0, 2**31), path=st.lists(TTL, max_size=9).map(tuple)),
    st.builds(StreamStep, address=ADDRESS, port=PORT, payload=PAYLOAD, count=st.integers(1, 999), interval=SECONDS,
              counters=st.lists(st.tuples(PORT, TTL, PORT), max_size=3).map(tuple), inverted=st.booleans()),
    st.builds(TlsStep, address=ADDRESS, port=PORT, server_name=FLOW, alpn=st.lists(FLOW, max_size=2).map(tuple),
              payload=PAYLOAD),
    st.builds(TransferStep, address=ADDRESS, port=PORT, payload=PAYLOAD, upload=PORT, seconds=SECONDS),
    st.builds(SynStep, address=ADDRESS, port=PORT, ttl=TTL, flow=FLOW, wait=SECONDS),
    st.builds(EchoStep, address=ADDRESS, ttl=TTL, flow=FLOW, wait=SECONDS),
    st.builds(PauseStep, seconds=SECONDS),
    st.builds(ListenStep, seconds=SECONDS,
              of=st.builds(UdpStep, address=ADDRESS, port=PORT, payload=PAYLOAD, ttl=TTL, flow=FLOW)),
)  # fmt: skip

GOLDEN: dict[str, Step] = {
    "udp": UdpStep(address="203.0.113.1", port=53, payload=b"\x00q", match=(0, 2)),
    "stream": StreamStep(address="203.0.113.1", port=10000, payload=b"\x80", count=3),
    "tcp": TcpStep(address="203.0.113.1", port=80),
    "tls": TlsStep(address="203.0.113.1", port=853),
    "transfer": TransferStep(address="203.0.113.1", port=443, payload=b"x"),
    "syn": SynStep(address="2001:db8::1", port=443),
    "echo": EchoStep(address="203.0.113.1"),
    "pause": PauseStep(seconds=1.5),
    "listen": ListenStep(of=UdpStep(address="203.0.113.1", port=53, payload=b"\x00q"), seconds=2.0),
}
FIELDS = {
    "udp": ["type", "address", "port", "payload", "ttl", "flow", "match", "wait", "linger", "tos"],
    "stream": ["type", "address", "port", "payload", "count"],
    "tcp": [
        "type", "address", "port", "payload", "ttl", "connect_wait", "wait", "linger", "read_limit", "path", "cuts",
        "gap", "flow", "tos",
    ],
    "tls": ["type", "address", "port"],
    "transfer": ["type", "address", "port", "payload"],
    "syn": ["type", "address", "port", "ttl", "flow", "wait"],
    "echo": ["type", "address", "ttl", "flow", "wait"],
    "pause": ["type", "seconds"],
    "listen": ["type", "of", "seconds"],
}
"""An old exchange log must stay readable: these names are for good."""


@given(st.lists(STEPS, max_size=5))
def test_steps_survive_json(steps: list[Step]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(steps), type=list[Step]) == steps


@pytest.mark.parametrize("tag", GOLDEN)
def test_the_names_in_a_log_are_for_good(tag: str) -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(GOLDEN[tag]))
    assert decoded["type"] == tag
    assert list(decoded) == FIELDS[tag]
    assert decoded.get("ttl", FULL_TTL) == 64


def test_failures_are_for_good() -> None:
    assert set(get_args(Failure)) >= {"", "refused", "timeout", "unreachable", "lost_race", "error"}


def heard(at: float, outgoing: bool, header: Tcp | Udp | Icmp | None) -> Heard:
    return Heard(at, outgoing, Packet(4, "203.0.113.1", "0.0.0.0", 60, 6, 40, header=header))


def tcp(flags: int) -> Tcp:
    return Tcp(80, 62000, 1, 1, flags, 1024)


ERROR = Icmp(11, 0, quoted=Packet(4, "0.0.0.0", "203.0.113.1", 1, 6, 40))
FLOW_OF = (
    heard(0.0, True, tcp(Flags.SYN)),
    heard(0.1, False, tcp(Flags.SYN | Flags.ACK)),
    heard(0.2, True, tcp(Flags.ACK)),
    heard(0.3, False, ERROR),
    heard(0.4, False, tcp(Flags.RST)),
    heard(0.5, False, Icmp(0, 0)),
)


def test_answers_come_after_the_payload_and_are_no_errors() -> None:
    exchange = Exchange(step=GOLDEN["tcp"], heard=FLOW_OF, sent_at=0.2)
    assert [one.at for one in exchange.answers] == [0.4, 0.5]
    assert [one.at for one in exchange.errors] == [0.3]


def test_what_was_never_sent_has_no_answer() -> None:
    exchange = Exchange(step=GOLDEN["tcp"], heard=FLOW_OF)
    assert exchange.answers == []
    assert [one.at for one in exchange.errors] == [0.3]


def test_the_synack_is_the_incoming_one() -> None:
    exchange = Exchange(step=GOLDEN["tcp"], heard=FLOW_OF)
    assert exchange.synack is not None
    assert exchange.synack.at == 0.1
    others = heard(0, True, tcp(Flags.SYN | Flags.ACK)), heard(1, False, tcp(Flags.RST))
    assert Exchange(step=GOLDEN["tcp"], heard=others).synack is None
