"""Bursts: what is in the buffer leaves, in its order, with one call."""

from __future__ import annotations

import errno
import socket
from itertools import islice

import pytest

from probe.engine import privilege
from probe.engine.bulk.burst import Burst, Departures, Patience
from probe.lab.lab import Lab
from probe.model.errors import CannotMeasure
from tests.engine.bulk.test_frames import probe
from tests.engine.conftest import Eye


@pytest.mark.loopback
def test_rows_leave_in_order_as_long_as_they_are() -> None:
    family, kind = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(family, kind) as far, socket.socket(family, kind) as near:
        far.bind(("127.0.0.1", 0))
        far.settimeout(2)
        near.connect(far.getsockname())
        burst = Burst(near, b"aaaabbbbccccdddd", 4)
        assert burst.count == 4
        assert burst.send(1, 2) == 2
        assert [far.recv(9) for _ in range(2)] == [b"bbbb", b"cccc"]
        burst.buffer[0:4] = b"xy##"
        burst.lengthen(0, 2)
        assert burst.send(0, 4) == 4
        assert [far.recv(9) for _ in range(4)] == [b"xy", b"bbbb", b"cccc", b"dddd"]


@pytest.mark.loopback
def test_each_goes_to_its_own_address_over_both_versions() -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            burst = Burst(sock, b"onetwo", 3, [address, address])
            with pytest.raises(OSError, match=r".") as caught:  # port 0 is nobody's: UDP refuses it
                burst.send(0, 2)
            assert caught.value.errno == errno.EINVAL


@pytest.mark.loopback
def test_an_error_about_an_earlier_packet_stops_none_of_the_later() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
            near.connect(closed.getsockname())
            closed.close()
            burst = Burst(near, b"aabbccdd", 2)
            assert burst.refused() == 0
            # Each brings an error about itself at once, which the next meets; within a call, it ends the call.
            assert [burst.send(i, 1) for i in range(4)] == [1] * 4
            assert 1 <= burst.send(0, 4) < 4
            assert burst.refused() == errno.ECONNREFUSED
            assert near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


@pytest.mark.lab
def test_an_error_of_this_machine_is_raised(chain: Lab) -> None:
    chain.run("chain", ["ip", "route", "add", "unreachable", "192.0.2.79/32"], check=True)
    with chain.enter("chain"), privilege.raw(socket.AF_INET, socket.IPPROTO_RAW) as sock:
        burst = Burst(sock, probe(4, "tcp", 9, 7), 44, ["192.0.2.79"])
        with pytest.raises(OSError, match="No route to host"):
            burst.send(0, 1)


def test_a_queue_that_is_full_is_no_error() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        near.setblocking(False)
        burst = Burst(near, bytes(1000 * 100), 1000)
        sent = [burst.send(0, 100) for _ in range(40)]
        assert 0 < sum(sent) < 4000
        assert sent[-1] == 0


def test_patience_with_a_full_queue_ends() -> None:
    patience = Patience()
    for _ in range(500):
        patience.lose()
    with pytest.raises(CannotMeasure, match="queue stays full"):
        patience.lose()


@pytest.mark.parametrize(
    ("count", "times"), [(0, []), (1, [1000]), (3, [1000, 1300, 1600]), (4, [1000, 1225, 1450, 1675])]
)
def test_packets_of_a_call_left_from_its_start_on(count: int, times: list[int]) -> None:
    assert list(islice(Departures().of(1000, 1900, count), count)) == times


def test_a_call_in_which_the_process_was_held_up_makes_no_packet_leave_late() -> None:
    departures = Departures()
    assert list(islice(departures.of(0, 10**9, 3), 3)) == [0, 100_000, 200_000]
    assert list(islice(departures.of(0, 12_000, 3), 3)) == [0, 4000, 8000]
    assert list(islice(departures.of(0, 10**7, 3), 3)) == [0, 4000, 8000]


def test_numbers_must_agree() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="not 1 packets of 3"):
            Burst(sock, b"onetwo", 3, ["127.0.0.1"])
        with pytest.raises(ValueError, match="packets of 4"):
            Burst(sock, b"onetwo", 4)


@pytest.mark.lab
@pytest.mark.parametrize("version", [4, 6])
def test_whole_packets_leave_as_they_are(chain: Lab, eye: Eye, version: int) -> None:
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    source, far = ("198.18.1.100", "203.0.113.9") if version == 4 else ("2001:db8:1:1::2", "2001:db8:a0::9")
    with chain.enter("chain"), privilege.raw(family, socket.IPPROTO_RAW, "eth0") as sock:
        packets = bytearray(probe(version, "tcp", 9, 7) + probe(version, "tcp", 10, 8))
        size = len(packets) // 2
        for start in (0, size):  # from an address of ours: the packets of the other tests come from elsewhere
            at = start + (12 if version == 4 else 8)
            raw = socket.inet_pton(family, source) + socket.inet_pton(family, far)
            packets[at : at + len(raw)] = raw
        assert Burst(sock, bytes(packets), size, [far, far]).send(0, 2) == 2
    seen = [packet for outgoing, packet in eye.packets() if outgoing and packet.ttl in (9, 10)]
    assert [(one.source, one.destination, one.ttl) for one in seen] == [(source, far, 9), (source, far, 10)]
