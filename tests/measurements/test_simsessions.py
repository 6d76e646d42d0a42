"""Streams, cut requests, sessions and transfers over the simulated network."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from probe.measurements._tcp.triggers import react
from probe.model.exchange import Exchange, Sample, Session, StreamStep, TcpStep, TlsStep, TransferStep, UdpStep
from probe.model.packet import Packet, Udp
from probe.wire import http, passages, tls
from probe.wire.counters import number_of
from tests.measurements.simboxes import Dropper, Resetter, Throttler, _Box
from tests.measurements.simclients import Client
from tests.measurements.simhosts import Web
from tests.measurements.simnet import Internet, Network, reply
from tests.measurements.test_simnet import get, one
from tests.measurements.worlds import BANNED, SERVER, net

RTP = StreamStep(
    address=SERVER, port=40000, payload=b"\x80\0\0\0" + bytes(168), count=50, counters=((2, 2, 1),), flow="call"
)
HELLO = tls.client_hello("banned.example", bytes(32))


@dataclass(frozen=True)
class Mirror:
    """Sends every datagram back."""

    hops: int = 0

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[object, object]) -> None:  # noqa: ARG002
        assert isinstance(packet.header, Udp)
        header = Udp(packet.header.destination_port, packet.header.source_port, packet.header.length)
        net.inward(flow, reply(packet, 64, header, packet.payload, 1), net.back(flow), net.now)


def test_a_stream_keeps_its_pace_and_hears_its_echoes() -> None:
    exchange = one(Network(hosts={SERVER: Mirror()}), RTP)
    found = passages.of(exchange)
    assert [one.at for one in found.sent] == pytest.approx([0.02 * i for i in range(50)])
    assert [one.number for one in found.back] == list(range(50))
    assert [number_of(RTP, heard.packet.payload) for heard in exchange.answers] == [49]
    ports = {heard.packet.header.source_port for heard in exchange.heard
             if heard.outgoing and isinstance(heard.packet.header, Udp)}  # fmt: skip
    other = one(Network(hosts={SERVER: Mirror()}), UdpStep(address=SERVER, port=40000, payload=b"x", flow="call"))
    header = other.heard[0].packet.header
    assert isinstance(header, Udp)
    assert ports == {header.source_port}


def test_a_stream_that_nobody_answers_is_given_up() -> None:
    step = StreamStep(address=SERVER, port=9, payload=b"x", count=500, give_up=1.0)
    exchange = one(net(), step)
    assert len(passages.of(exchange).sent) == 50
    assert exchange.answers == []


def test_the_traffic_class_is_on_every_packet() -> None:
    for step in (get(tos=0x88), UdpStep(address=SERVER, port=9, payload=b"x", tos=0x88)):
        assert {heard.packet.tos for heard in one(net(), step).heard if heard.outgoing} == {0x88}


def test_a_request_in_pieces_is_answered_as_a_whole_one() -> None:
    for seed in range(20):
        lossy, step = net(Web(farewell=""), loss=0.02), get(cuts=(3, 20), gap=0.05, wait=9.0, connect_wait=9.0)
        reaction = react(one(lossy, step, seed))
        assert reaction.stream().startswith(b"HTTP/1.1 200")
    exchange = one(net(), get(cuts=(3, 20), gap=0.05))
    pieces = [heard.packet.payload for heard in exchange.heard if heard.outgoing and heard.packet.payload]
    assert b"".join(pieces) == get().payload
    assert [len(piece) for piece in pieces[:2]] == [3, 17]


@pytest.mark.parametrize("reassembles", [False, True])
def test_only_a_filter_that_reassembles_sees_a_name_that_is_cut(reassembles: bool) -> None:
    box = Resetter(at=4, names=BANNED, reassembles=reassembles)
    request = http.request("banned.example")
    step = TcpStep(address=SERVER, port=80, payload=request, cuts=(request.index(b"ned.ex"),))
    assert react(one(net(boxes=(box,)), step)).cut == reassembles


def test_a_flow_keeps_its_port_and_is_remembered() -> None:
    internet = Internet(net(boxes=(Dropper(at=4, names=BANNED, residual=30, size=4),)), 1)
    assert react(internet.perform([get("banned.example", flow="f")])[0]).silent
    assert internet.perform([get(flow="f")])[0].failure == "timeout"
    assert react(internet.perform([get(flow="other one")])[0]).worked
    calm = Internet(net(), 1)
    for _ in range(3):
        assert react(calm.perform([get(flow="f")])[0]).worked


def test_a_session_is_the_hosts_word() -> None:
    exchange = one(net(), TlsStep(address=SERVER, port=443, server_name="good.example", payload=b"GET"))
    assert exchange.session is not None
    assert exchange.session.chain == (b"leaf", b"issuer")
    assert exchange.session.data.startswith(b"HTTP/1.1 200")
    assert exchange.answers


def test_a_session_that_is_cut_or_never_begins() -> None:
    step = TlsStep(address=SERVER, port=443, server_name="banned.example")
    cut = one(net(boxes=(Resetter(at=4, names=BANNED, in_path=True),)), step)
    assert (cut.failure, cut.session) == ("", Session(alert="no answer to the ClientHello"))
    refused = one(net(Web(port="closed")), step)
    assert (refused.failure, refused.session) == ("refused", None)


def test_a_box_may_give_a_session_of_its_own() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Interceptor(_Box):
        def act(self, passing: object) -> bool:  # noqa: ARG002
            return False

        def session(self, step: TlsStep) -> Session | None:
            return Session(chain=(b"forged",)) if step.server_name in BANNED else None

    for name, leaf in (("banned.example", b"forged"), ("good.example", b"leaf")):
        session = one(net(boxes=(Interceptor(at=3),)), TlsStep(address=SERVER, port=443, server_name=name)).session
        assert session is not None
        assert session.chain[0] == leaf


def transfer(network: Network, payload: bytes = HELLO, **what: object) -> Exchange:
    return one(network, TransferStep(address=SERVER, port=443, payload=payload, **what))  # type: ignore[arg-type]


def speed(samples: tuple[Sample, ...]) -> float:
    """Bytes a second of the second half."""
    half, last = samples[len(samples) // 2], samples[-1]
    return (last.acknowledged + last.received - half.acknowledged - half.received) / (last.at - half.at)


@pytest.mark.parametrize("upload", [0, 2_000_000])
def test_a_transfer_is_as_fast_as_the_line_and_a_throttled_one_is_not(upload: int) -> None:
    plain = transfer(net(line=1e6), limit=1_500_000, upload=upload)
    assert speed(plain.samples) == pytest.approx(1e6, rel=0.1)
    slow = transfer(net(boxes=(Throttler(at=4, names=BANNED, speed=20_000),)), upload=upload, seconds=3.0)
    assert speed(slow.samples) == pytest.approx(20_000, rel=0.1)
    assert slow.samples[-1].at == pytest.approx(3.0, abs=0.2)
    other = transfer(net(boxes=(Throttler(at=4, names=BANNED, speed=20_000),)), b"\xe9" + HELLO[1:], upload=upload)
    assert speed(other.samples) > 500_000


def test_cross_traffic_slows_all() -> None:
    crowded = transfer(net(line=1e6, traffic=lambda random, _now: 0.1 + 0.1 * random.random()), seconds=2.0)
    assert speed(crowded.samples) == pytest.approx(150_000, rel=0.2)
