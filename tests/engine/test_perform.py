"""Performing steps with real packets in a small lab: what is sent and heard, what goes wrong and how it is told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.engine import connections, datagrams, sockets
from probe.engine.guard import Guard
from probe.engine.observe import is_error
from probe.engine.perform import Performer
from probe.lab.kinds import Drop, ResetInjector, RouteAway
from probe.lab.lab import Lab
from probe.model.errors import BudgetExhausted, ForbiddenDestination, NoRoute, UsageError
from probe.model.exchange import EchoStep, Exchange, ListenStep, PauseStep, Step, SynStep, TcpStep, UdpStep
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp
from probe.wire import dns, http
from tests.engine.farend import udp_server

if TYPE_CHECKING:
    from tests.engine.conftest import Eye, Line

pytestmark = pytest.mark.lab

SERVER, SERVER6, SILENT, NOBODY = "203.0.113.10", "2001:db8:a0::10", "203.0.113.12", "203.0.113.14"
ROUTERS = [f"198.18.1.{n}" for n in range(1, 5)]
ROUTERS6 = [f"2001:db8:1::{n}" for n in range(1, 5)]
GET = http.request("press.example")
RST = Flags.RST
BOTH = pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])


def ask(name: str, ident: int, server: str = SERVER, ttl: int = 64, wait: float = 1.0) -> UdpStep:
    return UdpStep(address=server, port=53, payload=dns.query(name, ident), ttl=ttl, flow="q", match=(0, 2), wait=wait)


def probes(eye: Eye) -> list[Packet]:
    """What was sent on purpose. (The kernel still refuses late answers to the test before.)"""
    return [packet for outgoing, packet in eye.packets() if outgoing and not is_error(packet)]


def routers_heard(exchange: Exchange) -> list[str]:
    return [one.packet.source for one in exchange.errors]


def flags_of(exchange: Exchange, *, outgoing: bool) -> list[int]:
    return [one.packet.header.flags for one in exchange.heard
            if one.outgoing is outgoing and isinstance(one.packet.header, Tcp)]  # fmt: skip


@BOTH
def test_questions_side_by_side_get_their_own_answers(line: Line, server: str) -> None:
    steps: list[Step] = [ask("press.example", 10 + n, server) for n in range(8)]
    (exchanges,) = line.perform(steps)
    assert [exchange.step for exchange in exchanges] == steps
    for number, exchange in enumerate(exchanges):
        (answer,) = exchange.answers
        message = dns.decode(answer.packet.payload)
        assert (message.ident, len(message.answers)) == (10 + number, 1)
        assert exchange.sent_at is not None
        assert 0.018 < answer.at - exchange.sent_at < 0.9
        assert exchange.heard[0].outgoing
        assert {one.packet.source for one in exchange.heard} == {server, "::" if ":" in server else "0.0.0.0"}
    assert len({entry.port for entry in line.records}) == 1


@BOTH
def test_every_ttl_meets_its_router(line: Line, server: str) -> None:
    (exchanges,) = line.perform([ask("press.example", ttl, server, ttl, wait=0.5) for ttl in range(1, 6)])
    found = [routers_heard(exchange) for exchange in exchanges[:4]]
    assert [len(one) for one in found] == [1] * 4
    assert [one[0] for one in found][1:] == (ROUTERS6 if ":" in server else ROUTERS)[1:]
    assert len(exchanges[4].answers) == 1
    for ttl, exchange in enumerate(exchanges, 1):
        assert [one.packet.ttl for one in exchange.heard if one.outgoing] == [ttl]


@BOTH
def test_the_flow_is_the_same_at_every_ttl(line: Line, eye: Eye, server: str) -> None:
    batch: list[Step] = [SynStep(address=server, port=80, ttl=ttl, flow="f", wait=0.4) for ttl in (1, 2, 9)]
    batch += [EchoStep(address=server, ttl=ttl, flow="f", wait=0.4) for ttl in (1, 2, 9)]
    (exchanges,) = line.perform(batch)
    sent = [packet for outgoing, packet in eye.packets() if outgoing and packet.destination == server]
    syns = [packet.header for packet in sent if isinstance(packet.header, Tcp) and packet.header.flags == Flags.SYN]
    echoes = [packet.header for packet in sent if isinstance(packet.header, Icmp)]
    assert len(syns) == len(echoes) == 3
    assert len({header.source_port for header in syns}) == 1
    assert len({(header.identifier, header.checksum) for header in echoes}) == 1
    for exchange, ttl in zip(exchanges, [1, 2, 9] * 2, strict=True):
        assert len(exchange.errors) == (0 if ttl == 9 else 1)
        assert len(exchange.answers) == (1 if ttl == 9 else 0)
    synack = exchanges[2].answers[0].packet.header
    assert isinstance(synack, Tcp)
    assert synack.flags == Flags.SYN | Flags.ACK


@BOTH
def test_a_web_page_is_fetched_and_the_flow_aborted(line: Line, server: str) -> None:
    ((exchange,),) = line.perform([TcpStep(address=server, port=80, payload=GET)])
    assert exchange.failure == ""
    assert exchange.synack is not None
    data = b"".join(one.packet.payload for one in exchange.answers)
    assert data.startswith(b"HTTP/1.")
    assert flags_of(exchange, outgoing=True)[0] == Flags.SYN
    assert flags_of(exchange, outgoing=True)[-1] & RST
    assert [one.packet.ttl for one in exchange.heard if one.outgoing][-1] == 64


@BOTH
def test_the_payload_goes_as_far_as_its_ttl(line: Line, server: str) -> None:
    steps: list[Step] = [TcpStep(address=server, port=80, payload=GET, ttl=ttl, wait=0.4) for ttl in (1, 3)]
    (exchanges,) = line.perform(steps)
    for exchange, ttl in zip(exchanges, (1, 3), strict=True):
        assert exchange.failure == ""
        assert exchange.answers == [one for one in exchange.answers if not one.packet.payload]
        assert len(set(routers_heard(exchange))) == 1
        payload = [one.packet for one in exchange.heard if one.outgoing and one.packet.payload]
        assert {packet.ttl for packet in payload} == {ttl}
        closing = [one.packet for one in exchange.heard if one.outgoing and isinstance(one.packet.header, Tcp)][-1]
        assert closing.ttl == 64
        assert isinstance(closing.header, Tcp)
        assert closing.header.flags & RST
    assert len({entry.port for entry in line.records}) == 2


@BOTH
def test_the_routers_of_this_very_flow(line: Line, server: str) -> None:
    ((exchange,),) = line.perform([TcpStep(address=server, port=80, payload=GET, path=(1, 2, 3, 4), linger=0.2)])
    assert routers_heard(exchange)[1:] == (ROUTERS6 if ":" in server else ROUTERS)[1:]
    ttls = [one.packet.header.quoted.payload for one in exchange.errors
            if isinstance(one.packet.header, Icmp) and one.packet.header.quoted]  # fmt: skip
    assert ttls == [b""] * 4
    assert exchange.failure == ""
    assert any(one.packet.payload.startswith(b"HTTP/1.") for one in exchange.answers)


def test_the_ways_in_which_a_handshake_fails(line: Line, chain: Lab) -> None:
    chain.run("chain.r2", ["ip", "route", "add", "unreachable", "203.0.113.13/32"], check=True)
    steps: list[Step] = [
        TcpStep(address=SERVER, port=81),
        TcpStep(address=SILENT, port=80, connect_wait=0.3),
        TcpStep(address="203.0.113.13", port=80),
        TcpStep(address=SERVER, port=80),
    ]
    (exchanges,) = line.perform(steps)
    assert [exchange.failure for exchange in exchanges] == ["refused", "timeout", "unreachable", ""]
    assert [exchange.note for exchange in exchanges] == ["", "", "EHOSTUNREACH", ""]
    assert any(flags & RST for flags in flags_of(exchanges[0], outgoing=False))
    assert flags_of(exchanges[1], outgoing=False) == []
    assert len(exchanges[2].errors) >= 1
    assert exchanges[3].synack is not None
    assert all(exchange.sent_at is None for exchange in exchanges)


def test_a_refusal_by_this_machine_is_not_the_networks(line: Line, chain: Lab) -> None:
    async def cut(_: Performer) -> None:
        chain.run("chain", ["ip", "route", "add", "prohibit", "203.0.113.10/32"], check=True)

    try:
        _, exchanges = line.perform(
            [PauseStep(seconds=0), TcpStep(address=SERVER, port=80)],
            [TcpStep(address=SERVER, port=80), ask("press.example", 1)],
            between=cut,
        )
    finally:
        chain.run("chain", ["ip", "route", "del", "prohibit", "203.0.113.10/32"], check=True)
    assert [exchange.failure for exchange in exchanges] == ["error", "error"]
    assert all(exchange.note in ("EACCES", "EHOSTUNREACH", "ENETUNREACH") for exchange in exchanges)
    assert all(exchange.heard == () for exchange in exchanges)


def test_a_flow_torn_down_before_the_payload(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(sock: socket.socket, ttl: int) -> None:
        raise ConnectionResetError(104, "reset")

    monkeypatch.setattr(sockets, "set_ttl", reset)
    ((exchange,),) = line.perform([TcpStep(address=SERVER, port=80, payload=GET)])
    assert exchange.failure == "lost_race"
    assert exchange.sent_at is None
    assert exchange.synack is not None


def test_what_comes_while_others_are_asked_is_not_lost(line: Line, chain: Lab) -> None:
    """A far end that answers after 0.3 s; who asked listens for 0.1, asks elsewhere, and listens on."""

    def late(data: bytes) -> bytes:
        time.sleep(0.3)
        return data

    one = UdpStep(address=SERVER, port=5353, payload=b"hello", wait=0.1)
    with udp_server(chain, 5353, late):
        (first,), (between,), (later,), (again,) = line.perform(
            [one], [ask("press.example", 1)], [ListenStep(of=one, seconds=0.8)], [ListenStep(of=one, seconds=0.0)]
        )
    assert first.answers == []
    assert len(between.answers) == 1
    (answer,) = later.answers
    assert answer.packet.payload == b"hello"
    assert 0.3 <= answer.at <= 0.8
    assert later.sent_at == first.sent_at
    assert again.answers == later.answers
    assert 0.8 <= (line.records[2].ended - line.records[0].began) / 1e9 <= 1.5
    assert line.records[3].ended - line.records[2].ended <= 2e8  # its time was over: it waits no more


def test_only_what_was_asked_can_be_listened_for(line: Line, eye: Eye) -> None:
    with pytest.raises(UsageError, match=f"nothing was asked of {SERVER}"):
        line.perform([ListenStep(of=ask("press.example", 1), seconds=1.0), ask("press.example", 2)])
    assert probes(eye) == []


def test_a_pause_takes_its_time(line: Line) -> None:
    begun = time.monotonic()
    ((exchange,),) = line.perform([PauseStep(seconds=0.1)])
    assert time.monotonic() - begun >= 0.1
    assert (exchange.heard, exchange.failure) == ((), "")


def test_the_wait_ends_with_the_answer_unless_it_lingers(line: Line) -> None:
    quick, slow = ask("press.example", 1, wait=20), msgspec.structs.replace(ask("press.example", 2), linger=0.3)
    begun = time.monotonic()
    line.perform([quick])
    assert time.monotonic() - begun < 10
    begun = time.monotonic()
    line.perform([slow])
    assert time.monotonic() - begun >= 0.3


def test_the_budget_paces_what_really_leaves(line: Line, chain: Lab, eye: Eye) -> None:
    safety = msgspec.structs.replace(
        chain.config("chain").safety, packets_per_second=100, target_packets_per_second=60
    )
    steps: list[Step] = [ask("press.example", n, wait=0.05) for n in range(90)]
    line.perform(steps, safety=safety)
    ((exchange,),) = line.perform([TcpStep(address=SILENT, port=1, connect_wait=0.05)], safety=safety)
    assert exchange.failure == "timeout"
    times = sorted(entry.began / 1e9 for entry in line.records[:90])
    assert max(sum(start <= at < start + 1 for at in times) for start in times) <= 66  # a late wake-up or two
    assert times[-1] - times[0] >= 1.3
    assert len([1 for outgoing, packet in eye.packets() if outgoing and isinstance(packet.header, Udp)]) == 90


def test_what_the_kernel_sends_by_itself_is_counted(line: Line) -> None:
    line.perform([TcpStep(address=SERVER, port=80, payload=GET, ttl=2, wait=2.0, linger=2.0)])
    sent = [one for one in line.performer.intake.records if one.outgoing]
    assert sum(bool(one.packet.payload) for one in sent) >= 3  # nothing acknowledges it: the kernel sends it again
    assert line.performer._bench.pace._budget.used >= sum(len(one.data) for one in sent)


def test_the_days_end_stops_the_other_steps(line: Line, chain: Lab, eye: Eye) -> None:
    safety = msgspec.structs.replace(chain.config("chain").safety, bytes_per_day=1000)
    begun = time.monotonic()
    with pytest.raises(BudgetExhausted):
        line.perform([*(ask("press.example", n, wait=30) for n in range(40))], safety=safety)
    assert time.monotonic() - begun < 5
    assert len([1 for outgoing, packet in eye.packets() if outgoing and isinstance(packet.header, Udp)]) <= 10


@pytest.mark.parametrize("address", ["192.168.1.1", "127.0.0.1", "8.8.8.8%eth0", "fe80::1", "198.18.1.100", "nonsense"])
def test_a_forbidden_destination_stops_the_batch_before_anything_is_sent(line: Line, eye: Eye, address: str) -> None:
    batch: list[Step] = [ask("press.example", 1), TcpStep(address=SERVER, port=80), EchoStep(address=address)]
    with pytest.raises(UsageError if address in ("nonsense", "8.8.8.8%eth0") else ForbiddenDestination):
        line.perform(batch)
    time.sleep(0.05)
    assert probes(eye) == []


def test_without_its_configuration_a_lab_is_forbidden(line: Line, eye: Eye) -> None:
    with pytest.raises(ForbiddenDestination, match="documentation"):
        line.perform([EchoStep(address=SERVER)], guard=Guard())
    assert probes(eye) == []


def test_no_route_stops_the_batch_before_anything_is_sent(line: Line, chain: Lab, eye: Eye) -> None:
    chain.run("chain", ["ip", "route", "add", "unreachable", "192.0.2.77/32"], check=True)
    with pytest.raises(NoRoute):
        line.perform([ask("press.example", 1), EchoStep(address="192.0.2.77")])
    assert probes(eye) == []


def test_an_interface_is_kept_to(line: Line, chain: Lab) -> None:
    line.interface = "eth0"
    steps: list[Step] = [ask("press.example", 1), TcpStep(address=SERVER, port=80), EchoStep(address=SERVER6)]
    (exchanges,) = line.perform(steps)
    assert all(exchange.heard for exchange in exchanges)
    line.interface = "no-such"
    with pytest.raises(NoRoute, match="no-such"):
        line.perform([EchoStep(address=SERVER)])


def test_an_interface_that_goes_down_is_told_and_not_a_crash(line: Line, chain: Lab) -> None:
    async def down(_: Performer) -> None:
        chain.run("chain", ["ip", "link", "set", "eth0", "down"], check=True)

    gateways = {4: "198.18.1.101", 6: "2001:db8:1:1::1"}
    address6 = "2001:db8:1:1::2/64"
    steps: list[Step] = [ask("press.example", 1), SynStep(address=SERVER, port=80), EchoStep(address=SERVER),
                         TcpStep(address=SERVER, port=80, payload=GET), ask("a.example", 2, SERVER6)]  # fmt: skip
    try:
        before, after = line.perform(steps, [*steps, UdpStep(address=SERVER, port=7, payload=b"")], between=down)
    finally:
        chain.run("chain", ["ip", "link", "set", "eth0", "up"], check=True)
        chain.run("chain", ["ip", "-6", "address", "replace", address6, "dev", "eth0", "nodad"], check=True)
        for version, gateway in gateways.items():
            chain.run("chain", ["ip", f"-{version}", "route", "replace", "default", "via", gateway], check=True)
    assert [exchange.failure for exchange in before] == [""] * 5
    assert [exchange.failure for exchange in after] == ["error"] * 6
    assert all(exchange.note for exchange in after)
    (again,) = line.perform(steps)
    assert [exchange.failure for exchange in again] == [""] * 5


@pytest.fixture
def use_up_descriptors() -> Iterator[Callable[[], None]]:
    """Leaves no descriptor to this process until the test is over."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []

    def use_up() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))

    yield use_up
    for one in held:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_the_steps_say_so(line: Line, use_up_descriptors: Callable[[], None]) -> None:
    async def scarce(_: Performer) -> None:
        use_up_descriptors()

    steps: list[Step] = [TcpStep(address=SERVER, port=80), ask("press.example", 1), SynStep(address=SERVER, port=80)]
    _, exchanges = line.perform([EchoStep(address=SERVER, wait=0.1)], steps, between=scarce)
    assert [(exchange.failure, exchange.note) for exchange in exchanges] == [("error", "EMFILE")] * 3


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_nothing_is_left_behind(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.perform([EchoStep(address=SERVER)])
    before = open_files()
    line.perform([ask("press.example", 1), TcpStep(address=SERVER, port=81), SynStep(address=SERVER6, port=80)])
    assert open_files() == before

    def fail(*_: object) -> None:
        raise struct.error("a fault in the engine")

    for module, broken in ((datagrams, "send"), (connections, "payload")):
        with monkeypatch.context() as patch:
            patch.setattr(module, broken, fail)
            with pytest.raises(struct.error):
                line.perform([ask("press.example", 1), TcpStep(address=SERVER, port=80, payload=GET)])
        assert open_files() == before


def test_one_faulty_step_stops_its_siblings(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise struct.error("a fault in the engine")

    monkeypatch.setattr(datagrams, "send", fail)
    left: list[int] = []
    safety = line.lab.config("chain").safety

    async def run() -> None:
        with pytest.raises(struct.error):
            await line._perform(([PauseStep(seconds=60), ask("a.example", 1)],), safety, None, None)
        left.append(len(asyncio.all_tasks()))

    begun = time.monotonic()
    with line.lab.enter("chain"):
        asyncio.run(run())
    assert time.monotonic() - begun < 10
    assert left == [1]


def test_who_is_cancelled_closes_the_flow(line: Line, eye: Eye) -> None:
    before = open_files()

    async def run() -> None:
        work = line._perform(
            ([TcpStep(address=SERVER, port=80, payload=b"GET ", wait=60)],), line.lab.config("chain").safety, None, None
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work, 0.3)

    with line.lab.enter("chain"):
        asyncio.run(run())
    assert open_files() == before
    sent = [packet.header.flags for out, packet in eye.packets() if out and isinstance(packet.header, Tcp)]
    assert sent[-1] & RST


def test_the_capture_misses_nothing_at_a_thousand_packets(line: Line, chain: Lab) -> None:
    safety = msgspec.structs.replace(
        chain.config("chain").safety, packets_per_second=2000, target_packets_per_second=2000
    )
    steps: list[Step] = [ask("press.example", n, wait=2.0) for n in range(1000)]
    (exchanges,) = line.perform(steps, safety=safety)
    assert line.performer.intake.dropped() == 0
    assert sum(exchange.sent_at is not None for exchange in exchanges) == 1000
    assert sum(bool(exchange.answers) for exchange in exchanges) >= 990


def test_interference_is_heard_as_it_is(line: Line) -> None:
    boxes = (
        ResetInjector(at="chain.r3", words=("press.example",), copies=2, step=1460),
        Drop(at="chain.r3", words=("drop.example",)),
        RouteAway(at="chain.r2", prefixes=("203.0.113.11/32",), action="prohibit"),
    )
    with Lab.chain(4, boxes, rtt=0.02) as lab:
        steps: list[Step] = [
            TcpStep(address=SERVER, port=80, payload=GET),
            TcpStep(address=SERVER, port=80, payload=http.request("drop.example"), wait=0.5),
            TcpStep(address=SERVER, port=80, payload=http.request("other.example")),
            TcpStep(address="203.0.113.11", port=80),
        ]
        (exchanges,) = dataclasses.replace(line, lab=lab).perform(steps)
    reset, dropped, clean, prohibited = exchanges
    assert sum(bool(flags & RST) for flags in flags_of(reset, outgoing=False)) == 2
    assert dropped.failure == ""
    assert not any(one.packet.payload for one in dropped.answers)
    assert any(one.packet.payload for one in clean.answers)
    assert not any(flags & RST for flags in flags_of(clean, outgoing=False))
    assert prohibited.failure == "unreachable"
