"""TCP with real packets beyond one request: pieces, flows that keep their port, TOS."""

from __future__ import annotations

import socket
import struct

import pytest

from probe.lab.lab import Lab
from probe.model.exchange import Exchange, Step, TcpStep, UdpStep
from probe.model.packet import Flags, Tcp
from probe.wire import http
from tests.engine.conftest import Eye, Line
from tests.engine.farend import tcp_server

pytestmark = pytest.mark.lab

SERVER, SERVER6 = "203.0.113.10", "2001:db8:a0::10"
BOTH = pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])
GET = http.request("press.example")


def pieces(exchange: Exchange) -> list[bytes]:
    """What was sent, each segment once."""
    found: dict[int, bytes] = {}
    for one in exchange.heard:
        if one.outgoing and one.packet.payload and isinstance(one.packet.header, Tcp):
            found.setdefault(one.packet.header.sequence, one.packet.payload)
    return list(found.values())


@BOTH
def test_a_request_is_cut_where_it_was_asked_for(line: Line, server: str) -> None:
    ((exchange,),) = line.perform([TcpStep(address=server, port=80, payload=GET, cuts=(3, 20), gap=0.05)])
    assert pieces(exchange) == [GET[:3], GET[3:20], GET[20:]]
    at = [one.at for one in exchange.heard if one.outgoing and one.packet.payload]
    assert at[1] - at[0] >= 0.045
    assert exchange.sent_at == at[0]
    assert any(one.packet.payload.startswith(b"HTTP/1.") for one in exchange.answers)


def test_who_answers_half_a_request_is_sent_no_more(line: Line, chain: Lab) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(3)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with tcp_server(chain, 8001, reset):
        ((exchange,),) = line.perform([TcpStep(address=SERVER, port=8001, payload=GET, cuts=(3,), gap=0.3)])
    assert pieces(exchange) == [GET[:3]]
    assert exchange.failure == ""
    assert any(isinstance(one.packet.header, Tcp) and one.packet.header.flags & Flags.RST for one in exchange.answers)


@BOTH
def test_steps_of_a_flow_use_one_port_one_after_the_other(line: Line, server: str) -> None:
    step, other = (TcpStep(address=server, port=80, payload=GET, flow=flow, linger=0.1) for flow in ("f", "g"))
    first, second = line.perform([step, other], [step, step, TcpStep(address=server, port=80, payload=GET)])
    ports = [entry.port for entry in line.records]
    assert ports[0] == ports[2] == ports[3]
    assert len({ports[0], ports[1], ports[4]}) == 3
    for exchange in (*first, *second):
        assert exchange.failure == ""
        assert any(one.packet.payload.startswith(b"HTTP/1.") for one in exchange.answers)
        flags = [one.packet.header.flags for one in exchange.heard if isinstance(one.packet.header, Tcp)]
        assert flags[0] == Flags.SYN
        assert sum(one == Flags.SYN for one in flags) == 1
    assert line.records[2].ended <= line.records[3].began or line.records[3].ended <= line.records[2].began


@BOTH
def test_the_traffic_class_is_sent(line: Line, eye: Eye, server: str) -> None:
    steps: list[Step] = [TcpStep(address=server, port=80, payload=GET, tos=0x88, linger=0.1)]
    steps += [UdpStep(address=server, port=9, payload=b"%d" % tos, tos=tos, wait=0.2) for tos in (0x89, 0x03, 0)]
    (exchanges,) = line.perform(steps)
    assert {one.packet.tos for one in exchanges[0].heard if one.outgoing} == {0x88}
    assert [one.packet.tos for exchange in exchanges[1:] for one in exchange.heard if one.outgoing] == [0x89, 0x03, 0]
    eye.packets()
