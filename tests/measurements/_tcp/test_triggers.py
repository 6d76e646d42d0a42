"""Triggers over TCP, and what a flow did after one."""

from __future__ import annotations

from random import Random

import pytest

from probe.measurements._tcp.triggers import Trigger, path, react, shot, triggers
from probe.model.errors import UsageError
from probe.model.exchange import Exchange, Heard, TcpStep
from probe.model.packet import Flags, Icmp, Packet, Tcp
from probe.wire import http, tls

ISN, SERVER_ISN, SERVER = 1000, 5000, "203.0.113.10"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STEP = TcpStep(address=SERVER, port=80, payload=REQUEST)
END = ISN + 1 + len(REQUEST)


@pytest.mark.parametrize(
    ("target", "port", "expected"),
    [
        ("http://a.example/x?y=z", 0, [("http", 80, "/x?y=z")]),
        ("https://a.example", 0, [("tls", 443, "/")]),
        ("https://a.example:8443/", 0, [("tls", 8443, "/")]),
        ("http://a.example:81/", 82, [("http", 82, "/")]),
        ("a.example", 0, [("http", 80, "/"), ("tls", 443, "/")]),
        ("a.example.", 8080, [("http", 8080, "/")]),
        ("a.example", 993, [("tls", 993, "/")]),
    ],
)
def test_what_a_target_stands_for(target: str, port: int, expected: list[tuple[str, int, str]]) -> None:
    found = triggers(target, port)
    assert [(one.kind, one.port, one.path) for one in found] == expected
    assert {one.host for one in found} == {"a.example"}


@pytest.mark.parametrize(
    "target", ["ftp://a.example/", "http://", "https://a.example:x/", "a b", "", "user@host", "a/b"]
)
def test_what_is_no_target(target: str) -> None:
    with pytest.raises(UsageError):
        triggers(target)


def test_payloads_carry_the_name_or_its_twins() -> None:
    web, secure = triggers("a.example")
    assert http.host(web.payload(Random(1))) == "a.example"
    assert http.host(web.payload(Random(1), "b.example")) == "b.example"
    assert tls.server_name(secure.payload(Random(1))) == "a.example"
    assert tls.server_name(secure.payload(Random(1), "b.example")) == "b.example"
    assert secure.payload(Random(1)) == secure.payload(Random(1)) != secure.payload(Random(2))


def test_the_twin_never_asks_for_the_targets_path() -> None:
    trigger = Trigger("http", "a.example", 80, "/secret")
    assert b"/secret" in trigger.payload(Random(1))
    assert b"/secret" not in trigger.payload(Random(1), "b.example")


def segment(at: float, flags: int, seq: int, ack: int, payload: bytes = b"", ttl: int = 56, window: int = 0) -> Heard:
    header = Tcp(80, 40000, seq, ack, flags, window)
    return Heard(at, False, Packet(4, SERVER, "0.0.0.0", ttl, 6, 40, ident=3, header=header, payload=payload))


def mine(
    at: float, flags: int, seq: int, payload: bytes = b"", *, ttl: int = 64, ident: int = 1, window: int = 0
) -> Heard:
    header = Tcp(40000, 80, seq, 0, flags, window)
    return Heard(at, True, Packet(4, "0.0.0.0", SERVER, ttl, 6, 40, ident=ident, header=header, payload=payload))


OPENED = (
    mine(0.0, Flags.SYN, ISN),
    segment(0.02, Flags.SYN | Flags.ACK, SERVER_ISN, ISN + 1),
    mine(0.021, Flags.ACK | Flags.PSH, ISN + 1, REQUEST),
)  # fmt: skip


def flow(*later: Heard, failure: str = "") -> Exchange:
    return Exchange(step=STEP, heard=(*OPENED, *later), sent_at=0.021, failure=failure)  # type: ignore[arg-type]


DATA = segment(0.04, Flags.ACK | Flags.PSH, SERVER_ISN + 1, END, b"HTTP/1.1 200 OK\r\n\r\n")
DONE = SERVER_ISN + 1 + len(DATA.packet.payload)
RESET = segment(0.03, Flags.RST | Flags.ACK, SERVER_ISN + 1, END, ttl=61)
ACK = segment(0.03, Flags.ACK, SERVER_ISN + 1, END)
FIN = Flags.FIN | Flags.ACK


@pytest.mark.parametrize(
    ("later", "worked", "cut", "silent"),
    [
        ((), False, False, True),
        ((ACK,), False, False, False),
        ((DATA,), True, False, False),
        ((RESET,), False, True, False),
        ((RESET, DATA), False, True, False),
        ((DATA, segment(0.05, FIN, DONE, END)), True, False, False),
        ((segment(0.03, FIN, DONE, END), DATA), True, False, False),  # overtaken: sequence numbers count, not order
        ((DATA, segment(0.05, Flags.RST, DONE, END)), True, False, False),  # how some servers end
        ((segment(0.03, FIN, SERVER_ISN + 1, END),), False, True, False),
        ((DATA, segment(0.05, Flags.RST, SERVER_ISN + 1, END)), False, True, False),
    ],
)
def test_how_a_flow_went(later: tuple[Heard, ...], worked: bool, cut: bool, silent: bool) -> None:
    reaction = react(flow(*later))
    assert (reaction.worked, reaction.cut, reaction.silent) == (worked, cut, silent)


def test_the_handshake_is_measured() -> None:
    reaction = react(flow(DATA))
    assert reaction.opened
    assert reaction.round_trip == pytest.approx(0.02)
    assert (reaction.synack_ttl, reaction.first, reaction.acknowledged) == (56, SERVER_ISN + 1, True)
    assert reaction.stream() == DATA.packet.payload


def test_sequence_numbers_wrap() -> None:
    first = (1 << 32) - 4
    opened = (OPENED[0], segment(0.02, Flags.SYN | Flags.ACK, first - 1, ISN + 1), OPENED[2])
    body = segment(0.04, Flags.ACK, first, END, b"12345678")
    done = segment(0.05, FIN, 4, END)
    reaction = react(Exchange(step=STEP, heard=(*opened, body, done), sent_at=0.021))
    assert reaction.worked
    assert reaction.stream() == b"12345678"


def test_a_flow_that_never_opened() -> None:
    reaction = react(Exchange(step=STEP, heard=OPENED[:1], failure="timeout"))
    assert [reaction.opened, reaction.sent, reaction.silent, reaction.worked] == [False] * 4
    assert reaction.stream() == b""


def quote(hop: int, quoted: Packet, kind: int = 11) -> Heard:
    return Heard(0.05, False, Packet(4, f"198.51.0.{hop}", "0.0.0.0", 60, 1, 56, header=Icmp(kind, 0, quoted=quoted)))


def test_only_a_quote_of_the_payload_says_where_it_died() -> None:
    payload, probe = OPENED[2].packet, mine(0.0205, Flags.ACK, ISN, ttl=3, window=515).packet
    assert react(flow(quote(4, payload))).expired_at == "198.51.0.4"
    assert react(flow(quote(3, probe))).expired_at is None
    assert react(flow(quote(4, payload, kind=3))).expired_at is None
    assert not react(flow(quote(4, payload))).silent


@pytest.mark.parametrize("short", [False, True])
def test_path_probes_name_routers_even_where_quotes_are_short(short: bool) -> None:
    probes = [mine(0.0205, Flags.ACK, ISN, ttl=ttl, ident=100 + ttl, window=512 + ttl) for ttl in (1, 2, 3)]

    def quoted(probe: Heard) -> Packet:
        old = probe.packet
        header = Tcp(40000, 80, ISN, 0, 0, 0) if short else old.header
        return Packet(4, old.source, old.destination, 1, 6, 40, ident=old.ident, header=header)

    errors = [quote(ttl, quoted(probe)) for ttl, probe in enumerate(probes, 1)]
    assert path(flow(*probes, *errors)) == {1: "198.51.0.1", 2: "198.51.0.2", 3: "198.51.0.3"}
    hit = shot(5, flow(RESET, *probes, *errors), react(flow(RESET)))
    assert (hit.elicited, hit.reply_ttl, hit.routers[2]) == (True, 61, "198.51.0.2")
