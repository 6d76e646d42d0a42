"""Queries by the thousand: every answer and all its copies, by its own question; lost ones are asked again."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Any

import pytest

from probe.engine.budget import Budget
from probe.engine.bulk.drive import alone
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.line import Line
from probe.engine.bulk.queries import MOST, Asked, _Asker, ask
from probe.engine.guard import Guard, networks
from probe.lab.kinds import DnsInjector, RouteAway
from probe.lab.lab import Lab
from probe.model.config import SafetyConfig
from probe.model.errors import CannotMeasure, ForbiddenDestination, MalformedPacket, UsageError
from probe.model.packet import Packet, Protocol, Udp
from probe.wire import dns, ip
from probe.wire.address import address_bytes
from tests.engine.bulk.conftest import line
from tests.engine.conftest import Eye
from tests.engine.farend import udp_server

pytestmark = pytest.mark.lab

SERVER, SERVER6, SILENT = "203.0.113.10", "2001:db8:a0::10", "203.0.113.12"
OWN = 62000
Do = Callable[[Callable[[Line], Any]], Any]


@pytest.mark.parametrize("server", [SERVER, SERVER6])
def test_each_question_gets_its_own_answers(do: Do, server: str) -> None:
    names = ["press.example", "control.example"] * 60 + [f"no{i}.example" for i in range(80)]
    asked: Asked = do(lambda line: ask(line, server, names, qtype=dns.A))
    assert (asked.packets, asked.lost) == (200, 0)
    for name, replies in zip(names, asked.replies, strict=True):
        (reply,) = replies
        message = dns.decode(reply.message)
        assert message.questions[0].name == name
        assert message.rcode == (dns.NXDOMAIN if name.startswith("no") else dns.NOERROR)
        assert reply.ttl == 60
        assert (reply.ident is None) == (":" in server)
        assert 15e6 < reply.after < 2e9


def test_both_answers_are_kept_the_forged_and_the_true_one() -> None:
    box = DnsInjector(at="chain.r2", names=("forbidden.example",), answer="192.0.2.99")
    with Lab.chain(4, [box], rtt=0.02) as lab, lab.enter("chain"):
        asked = alone(ask(line(lab), SERVER, ["forbidden.example", "press.example"], linger=0.2))
    forged, honest = asked.replies
    assert [len(forged), len(honest)] == [2, 1]
    assert {record.text for record in dns.decode(forged[0].message).answers} == {"192.0.2.99"}
    assert forged[0].after < forged[1].after
    assert forged[0].ttl != forged[1].ttl


def test_what_is_lost_is_asked_again(chain: Lab, do: Do) -> None:
    def every_other(data: bytes) -> bytes:
        return b"" if len(came) % 2 else dns.encode(dns.answer(dns.decode(data)))

    with udp_server(chain, 5353, every_other) as came:
        asked: Asked = do(lambda line: ask(line, SERVER, [f"n{i}.example" for i in range(6)], port=5353, wait=0.3,
                                           window=1))  # fmt: skip
    assert sum(bool(one) for one in asked.replies) >= 5
    assert asked.packets > 6


def test_silence_ends(do: Do) -> None:
    begun = time.monotonic()
    asked: Asked = do(lambda line: ask(line, SILENT, [f"n{i}.example" for i in range(7)], window=3, wait=0.1))
    assert time.monotonic() - begun < 4
    assert asked.replies == [[]] * 7
    assert asked.packets == 21


@pytest.mark.parametrize("server", [SERVER, SERVER6])
def test_a_closed_port_is_silence_and_said(do: Do, server: str) -> None:
    names = [f"n{i}.example" for i in range(5)]
    asked: Asked = do(lambda line: ask(line, server, names, port=5399, window=1, wait=0.1))
    assert asked.replies == [[]] * 5
    assert (asked.packets, asked.refused) == (15, errno.ECONNREFUSED)


def test_a_way_that_is_forbidden_by_a_router_is_silence_and_said() -> None:
    box = RouteAway(at="chain.r2", prefixes=("203.0.113.0/24",), action="admin_prohibited")
    with Lab.chain(4, [box]) as lab, lab.enter("chain"):
        asked = alone(ask(line(lab), SERVER, ["a.example", "b.example"], window=1, wait=0.1))
    assert (asked.replies, asked.refused) == ([[], []], errno.EHOSTUNREACH)


def test_never_more_at_a_time_than_wanted(chain: Lab, do: Do) -> None:
    times: list[float] = []

    def slow(data: bytes) -> bytes:
        times.append(time.monotonic())
        return dns.encode(dns.answer(dns.decode(data)))

    with udp_server(chain, 5354, slow):
        asked: Asked = do(lambda line: ask(line, SERVER, [f"n{i}.example" for i in range(20)], port=5354, window=2))
    assert all(asked.replies)
    assert times[-1] - times[0] >= 8 * 0.02  # two of them a round trip


class Wires:
    """In the place of a burst and a ring: all leaves, and what is put into ``come`` (time, packet) comes."""

    size = count = 64

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.buffer = bytearray(self.size * self.count)
        self.calls: list[tuple[int, int]] = []
        self.come: list[tuple[int, bytes]] = []

    def lengthen(self, i: int, length: int) -> None:
        assert i < self.count
        assert length <= self.size

    def send(self, start: int, count: int) -> int:
        if self.broken:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        self.calls.append((start, count))
        return count

    def drain(self, take: Callable[[int, bytes, int, int], None]) -> int:
        while self.come:
            ns, raw = self.come.pop(0)
            take(ns, raw, 0, len(raw))
        return 0


def asker(wires: Wires, queries: list[bytes]) -> _Asker:
    """Asks by the wires, with a clock that shows 1000 and 1900."""
    gate = Gate(Guard(networks(["203.0.113.0/24"])), Budget(SafetyConfig()))
    clock = iter([1000, 1900])
    return _Asker(wires, gate, gate.admit([SERVER]), wires, queries, 0,  # type: ignore[arg-type]
                  (OWN, 53, address_bytes(SERVER)), 0.0001, lambda: next(clock))  # fmt: skip


def test_where_this_machine_can_not_send_it_says_so() -> None:
    with pytest.raises(CannotMeasure, match="ENETUNREACH"):
        next(asker(Wires(broken=True), [dns.query("a.example", 0)]).round(1, 1.0))


@pytest.mark.parametrize(("count", "asked"), [(1, [1000]), (3, [1000, 1300, 1600])])
def test_answers_are_timed_from_the_start_of_the_call_that_asked(count: int, asked: list[int]) -> None:
    wires = Wires()
    queries = [dns.query(f"n{i}.example", i) for i in range(count)]
    asked_by = asker(wires, queries)
    next(asked_by.round(count, 1.0))
    assert wires.calls == [(0, count)]
    for i, query in enumerate(queries):
        reply = Packet(4, SERVER, "192.0.2.1", 60, Protocol.UDP, 0, 1, header=Udp(53, OWN, 0), payload=query)
        wires.come.append((2500 + i, ip.encode(reply)))
    alone(asked_by.listen(0.0))
    assert [reply.after for (reply,) in asked_by.replies] == [2500 + i - left for i, left in enumerate(asked)]


@pytest.mark.parametrize(
    ("resolver", "names", "error"),
    [("192.168.1.1", ["a.example"], ForbiddenDestination), (SERVER, ["a..example"], MalformedPacket),
     (SERVER, ["a"] * (MOST + 1), UsageError), ("198.18.1.100", ["a"], ForbiddenDestination)],
)  # fmt: skip
def test_what_may_not_be_is_refused_before_anything_is_sent(
    do: Do, eye: Eye, resolver: str, names: list[str], error: type[Exception]
) -> None:
    eye.packets()
    with pytest.raises(error):
        do(lambda line: ask(line, resolver, names))
    assert [1 for outgoing, _ in eye.packets() if outgoing] == []
