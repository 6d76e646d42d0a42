"""Raw packets as they leave, read by our own decoder and by scapy."""

from __future__ import annotations

import socket
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from probe.engine.raw import RawSender
from probe.lab.lab import Lab
from probe.model.errors import NoPermission
from probe.model.packet import Flags, Icmp, Packet, Tcp
from probe.wire import ip

if TYPE_CHECKING:
    from tests.engine.conftest import Eye

pytestmark = pytest.mark.lab

HOME, SERVER = ("198.18.1.100", "2001:db8:1:1::2"), ("203.0.113.10", "2001:db8:a0::10")
BOTH = pytest.mark.parametrize(("source", "server"), list(zip(HOME, SERVER, strict=True)), ids=["IPv4", "IPv6"])


def sent(lab: Lab, eye: Eye, send: Callable[[RawSender], None], interface: str = "") -> list[Packet]:
    with lab.enter("chain"):
        sender = RawSender(Random(7), interface)
        try:
            send(sender)
        finally:
            sender.close()
    return [packet for outgoing, packet in eye.packets() if outgoing]


def is_right_to_scapy(packet: Packet) -> bool:
    """Whether scapy would compute the same checksums and lengths."""
    data = ip.encode(packet)
    layers = (IP if packet.version == 4 else IPv6)(data)
    for layer in (layers, layers.payload):
        for name in ("chksum", "len", "plen", "cksum"):
            if name in layer.fields:
                layer.delfieldval(name)
    return bytes(layers) == data and packet.header is not None and ip.decode(data) == packet


@BOTH
@pytest.mark.parametrize("interface", ["", "eth0"])
def test_a_syn(chain: Lab, eye: Eye, source: str, server: str, interface: str) -> None:
    def send(sender: RawSender) -> None:
        sender.syn(source, server, 62001, 81, 3)
        sender.syn(source, server, 62001, 81, 4)

    packets = sent(chain, eye, send, interface)
    assert [(p.source, p.destination, p.ttl) for p in packets] == [(source, server, 3), (source, server, 4)]
    for packet in packets:
        header = packet.header
        assert isinstance(header, Tcp)
        assert (header.source_port, header.destination_port, header.flags) == (62001, 81, Flags.SYN)
        assert header.options == b"\x02\x04\x05\xb4"
        assert is_right_to_scapy(packet)
    assert len({p.header.sequence for p in packets if isinstance(p.header, Tcp)}) == 2


@BOTH
def test_an_ack_of_an_open_flow(chain: Lab, eye: Eye, source: str, server: str) -> None:
    (packet,) = sent(chain, eye, lambda sender: sender.ack(source, server, 62002, 80, 5, 0xFFFFFFFF, 3))
    header = packet.header
    assert isinstance(header, Tcp)
    assert (header.sequence, header.acknowledgement, header.flags) == (0xFFFFFFFF, 3, Flags.ACK)
    assert (packet.ttl, header.window, packet.payload) == (5, 517, b"")
    assert is_right_to_scapy(packet)


@BOTH
def test_echoes_of_a_flow_differ_in_sequence_and_share_their_checksum(
    chain: Lab, eye: Eye, source: str, server: str
) -> None:
    def send(sender: RawSender) -> None:
        for ttl in (1, 2, 30):
            sender.echo(server, 62003, ttl)

    packets = sent(chain, eye, send)
    headers = [packet.header for packet in packets if isinstance(packet.header, Icmp)]
    assert [packet.ttl for packet in packets] == [1, 2, 30]
    assert {header.identifier for header in headers} == {62003}
    assert len({header.sequence for header in headers}) == 3
    assert len({header.checksum for header in headers}) == 1
    assert {packet.source for packet in packets} == {source}
    assert all(is_right_to_scapy(packet) for packet in packets)


def test_without_permission_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(NoPermission, match="CAP_NET_RAW"):
        RawSender(Random(1)).echo(SERVER[0], 1, 1)


def test_a_socket_that_can_not_be_prepared_is_closed(chain: Lab, recwarn: pytest.WarningsRecorder) -> None:
    with chain.enter("chain"):
        sender = RawSender(Random(1), "no-such")
        with pytest.raises(OSError, match="No such device"):
            sender.echo(SERVER[0], 1, 1)
    del sender
    assert [str(one.message) for one in recwarn if one.category is ResourceWarning] == []
