"""What `tampering` sends."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from probe.measurements import Context
from probe.measurements._far import Far
from probe.measurements._tamper.ask import Asking
from probe.measurements._tamper.seen import Seen
from probe.model.exchange import TcpStep, TlsStep
from probe.model.reflector import Grant
from probe.wire import http
from tests.measurements.simfar import FAR, SETTINGS
from tests.measurements.simfar import Far as FarHost
from tests.measurements.simnet import Internet, Network, Passing, drive

ADDRESS = FAR[4]
GRANT = Grant(token="00" * 12, udp=(47474,), tcp=(80, 443, 20001), random=(20001,), certificate="ab")


def asking(grant: Grant = GRANT) -> tuple[Seen, Asking]:
    seen = Seen("press.example", "good.example", ADDRESS)
    return seen, Asking(seen, Far(ADDRESS, grant), Context(Random(1)), 3)


def test_trials_and_twins_differ_in_port_and_name_alone() -> None:
    seen, one = asking()
    assert seen.ports == {"http": (80, 20001), "tls": (443, 20001)}
    trial = next(one.looks("trial"))
    assert [(s.port, type(s)) for s in trial if isinstance(s, TcpStep | TlsStep)] == [(80, TcpStep)] * 3 + [
        (443, TlsStep)
    ] * 3
    twins = next(one.looks("before"))
    named = {(s.port, http.host(s.payload) if isinstance(s, TcpStep) else s.server_name) for s in twins
             if isinstance(s, TcpStep | TlsStep)}  # fmt: skip
    assert named == {
        (20001, "good.example"), (20001, "press.example"), (80, "good.example"), (443, "good.example"),
    }  # fmt: skip
    payloads = [s.payload for s in (*trial, *twins) if isinstance(s, TcpStep)]
    assert len(set(payloads)) == len(payloads), "no cache knows a request"


def test_ports_that_are_not_served_are_not_compared() -> None:
    assert asking(msgspec.structs.replace(GRANT, tcp=(443, 20001)))[0].ports == {"tls": (443, 20001)}
    assert asking(msgspec.structs.replace(GRANT, random=()))[0].ports == {}


class Bleacher:
    """A router that clears the TOS byte."""

    at, only = 4, ""

    def act(self, passing: Passing) -> bool:
        packet, net, flow = passing.packet, passing.net, passing.flow
        if not packet.tos:
            return False
        changed = msgspec.structs.replace(packet, tos=0)
        left = net.distance(flow) - passing.hop
        if packet.ttl - 1 < left:
            net.error(flow, changed, passing.hop + packet.ttl - 1, 11)
        else:
            host: Any = net.network.hosts[flow.address]
            net.at(passing.when + 0.001, lambda: host.receive(net, flow, changed, net.memory_of(flow.address)))
        return True

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002
        return False


def test_where_the_tos_byte_is_rewritten() -> None:
    from probe.measurements._far import hello

    for boxes, arrived, quoted in (((), 0xB8, {}), ((Bleacher(),), 0, {3: 0xB8, 4: 0})):
        net = Internet(Network(hosts={ADDRESS: FarHost(settings=SETTINGS)}, boxes=boxes), 1)
        context = Context(Random(1))
        far = drive(hello(ADDRESS, context), net)
        assert far is not None
        seen = Seen("press.example", "good.example", ADDRESS)
        drive(Asking(seen, far, context, 3).toses(), net)
        assert seen.tos[0xB8] == [arrived]
        assert {ttl: tos for ttl, tos in seen.tos_path.items() if ttl in (3, 4)} == quoted


def test_quotes_of_routers_are_read() -> None:
    from probe.measurements._far import hello

    net = Internet(Network(hosts={ADDRESS: FarHost(settings=SETTINGS)}), 1)
    context = Context(Random(1))
    far = drive(hello(ADDRESS, context), net)
    assert far is not None
    seen = Seen("press.example", "good.example", ADDRESS)
    drive(Asking(seen, far, context, 3).sweep("http", ("random", "harmless")), net)
    found = seen.paths["http"]
    assert (found.arrives, found.quotes.touched) == (9, [])
    assert set(found.quotes.untouched) == set(range(1, 9))
    assert found.place is None
