"""The capture hears what arrives for this host and what opens a conversation, and says when it missed some."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from probe.model.packet import Packet, Tcp, Udp
from probe.reflector.capture import Capture
from tests.reflector.conftest import loopback

pytestmark = pytest.mark.loopback
ADDRESS, OTHER = loopback(41), loopback(42)


@pytest.fixture
def capture() -> Iterator[Capture]:
    try:
        found = Capture([ADDRESS, "::1"], [5999])
    except PermissionError:
        pytest.skip("needs CAP_NET_RAW")
    with contextlib.closing(found):
        yield found


def heard(capture: Capture, count: int) -> list[Packet]:
    """So many packets, or what came in a second."""
    found: list[Packet] = []
    end = time.monotonic() + 1
    while len(found) < count and time.monotonic() < end:
        found += capture.drain()
        time.sleep(0.01)
    return found


def test_datagrams_to_its_ports_and_addresses_alone(capture: Capture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for address, port in ((OTHER, 5999), (ADDRESS, 5998), (ADDRESS, 5999)):
            sock.sendto(b"to %d" % port, (address, port))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"over six", ("::1", 5999))
    packets = heard(capture, 2)
    assert [packet.payload for packet in packets] == [b"to 5999", b"over six"]
    assert [isinstance(packet.header, Udp) for packet in packets] == [True, True]
    assert not capture.dropped()


def test_syns_to_every_port_once(capture: Capture) -> None:
    with socket.socket() as sock, contextlib.suppress(ConnectionRefusedError):
        sock.connect((ADDRESS, 5997))
    (packet,) = heard(capture, 1)
    assert isinstance(packet.header, Tcp)
    assert packet.header.destination_port == 5997
    assert heard(capture, 1) == []


def test_what_went_by_unseen_is_told_once(capture: Capture) -> None:
    capture.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(200):
            sock.sendto(b"x" * 1000, (ADDRESS, 5999))
    assert capture.dropped()
    assert not capture.dropped()
