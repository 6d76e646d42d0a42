"""Single packets, sent by what can send them; errors of this machine are told."""

from __future__ import annotations

import pytest

from probe.engine import sockets
from probe.model.exchange import EchoStep, Step, SynStep, UdpStep
from probe.model.packet import Icmp, Tcp, Udp
from tests.engine.conftest import Line

pytestmark = pytest.mark.lab

SERVER, SERVER6 = "203.0.113.10", "2001:db8:a0::10"


@pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])
def test_each_kind_leaves_with_its_own_ttl(line: Line, server: str) -> None:
    (exchanges,) = line.perform([
        UdpStep(address=server, port=9, payload=b"x", ttl=33, wait=0.2),
        SynStep(address=server, port=80, ttl=34, wait=0.2),
        EchoStep(address=server, ttl=35, wait=0.2),
    ])  # fmt: skip
    sent = [exchange.heard[0].packet for exchange in exchanges]
    assert [packet.ttl for packet in sent] == [33, 34, 35]
    assert [type(packet.header) for packet in sent] == [Udp, Tcp, Icmp]
    assert all(exchange.sent_at is not None for exchange in exchanges)


def test_a_packet_that_can_not_leave_is_an_error_of_this_machine(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(90, "too long")

    monkeypatch.setattr(sockets, "send_datagram", refuse)
    steps: list[Step] = [UdpStep(address=SERVER, port=9, payload=b"x"), EchoStep(address=SERVER, wait=0.2)]
    ((told, fine),) = line.perform(steps)
    assert (told.failure, told.note, told.heard) == ("error", "EMSGSIZE", ())
    assert fine.failure == ""


def test_a_datagram_goes_out_although_an_earlier_one_was_refused(line: Line) -> None:
    steps: list[Step] = [UdpStep(address=SERVER, port=9, payload=b"%d" % n, wait=0.3) for n in range(3)]
    first, second = line.perform(steps, steps)
    for exchange in (*first, *second):
        assert exchange.failure == ""
        assert exchange.sent_at is not None
        assert exchange.errors
