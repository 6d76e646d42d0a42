"""What the steps of a run share: one socket for each flow, one port for each kept connection."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probe.engine import bench
from probe.lab.lab import Lab
from probe.model.exchange import EchoStep, Step, StreamStep, SynStep, UdpStep
from tests.engine.conftest import Line, performer

pytestmark = pytest.mark.lab

SERVER, OTHER = "203.0.113.10", "203.0.113.11"


def test_flows_share_ports_as_their_kinds_allow(line: Line) -> None:
    line.perform([
        UdpStep(address=SERVER, port=9, payload=b"1", wait=0.1),
        UdpStep(address=SERVER, port=9, payload=b"2", wait=0.1),
        StreamStep(address=SERVER, port=9, payload=b"3", count=1, wait=0.1),
        UdpStep(address=OTHER, port=9, payload=b"4", wait=0.1),
        SynStep(address=SERVER, port=80, wait=0.1),
        SynStep(address=OTHER, port=81, wait=0.1),
        EchoStep(address=SERVER, wait=0.1),
        EchoStep(address=OTHER, wait=0.1),
        SynStep(address=OTHER, port=81, flow="another", wait=0.1),
    ])  # fmt: skip
    ports = [entry.port for entry in line.records]
    assert len(set(ports[:3])) == len(set(ports[4:6])) == len(set(ports[6:8])) == 1
    assert len(set(ports)) == 5


def test_bare_syns_need_no_more_than_raw_packets(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def attach(sock: socket.socket) -> None:  # as kernels do without CAP_NET_ADMIN
        if sock.type == socket.SOCK_STREAM:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(bench, "attach_drop_all", attach)
    ((exchange,),) = line.perform([SynStep(address=SERVER, port=80, wait=0.5)])
    assert (exchange.failure, exchange.note, len(exchange.answers)) == ("", "", 1)


def test_a_kept_port_is_bound_again_and_no_other_takes_it(chain: Lab) -> None:
    async def run() -> None:
        async with performer(chain.config("chain").safety) as working:
            shared = working._bench
            source = shared.route(SERVER)
            name = (SERVER, 80, "f")
            with socket.socket() as first:
                port = shared.bind(first, source, name)
                with socket.socket() as second, pytest.raises(OSError, match="in use"):
                    shared.bind(second, source, name)
            with socket.socket() as again, socket.socket() as fresh:
                assert shared.bind(again, source, name) == port
                assert shared.bind(fresh, source, None) != port

    with chain.enter("chain"):
        asyncio.run(run())


def test_connections_of_one_flow_take_turns(chain: Lab) -> None:
    order: list[str] = []

    async def one(bench: object, name: str, flow: str) -> None:
        async with bench.turn(SERVER, 80, flow):  # type: ignore[attr-defined]
            order.append(name)
            await asyncio.sleep(0.01)
            order.append(name)

    async def run() -> None:
        async with performer(chain.config("chain").safety) as working:
            await asyncio.gather(one(working._bench, "a", "f"), one(working._bench, "b", "f"))
            await asyncio.gather(one(working._bench, "c", ""), one(working._bench, "d", ""))

    with chain.enter("chain"):
        asyncio.run(run())
    assert order == ["a", "a", "b", "b", "c", "d", "c", "d"]


def test_a_burst_does_not_wait_for_the_end_to_be_taken(line: Line) -> None:
    steps: list[Step] = [UdpStep(address=SERVER, port=9, payload=b"%d" % n, wait=0.2) for n in range(130)]
    line.perform(steps)
    assert line.performer.intake.dropped() == 0
    assert sum(one.outgoing for one in line.performer.intake.records) == 130
