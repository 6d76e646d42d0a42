"""How fast what may pass."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.boxes.shape import Bucket
from probe.lab.kinds import Line, Throttle
from probe.lab.lab import Lab
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import http, quic, tls
from tests.lab.boxes.seeing import Box
from tests.lab.conftest import quickest

HOME, SERVER = "198.18.10.100", "203.0.113.10"
HELLO = tls.client_hello("video.example", random=bytes(32))


def segment(payload: bytes = b"", *, port: int = 5000, upstream: bool = True, flags: int = Flags.ACK) -> Packet:
    ends, ports = ((HOME, SERVER), (port, 443)) if upstream else ((SERVER, HOME), (443, port))
    return Packet(4, *ends, 60, 6, 40 + len(payload), 1, header=Tcp(*ports, 1, 1, flags, 500), payload=payload)


def rate_of(box: Box, *, seconds: float = 10.0, port: int = 5000, upstream: bool = False) -> float:
    """Kilobits a second that leave a box into which twice 8 Mbit/s go."""
    size, step = 1000, 0.0005
    packet = segment(bytes(size - 40), port=port, upstream=upstream)
    begun, passed = box.clock.now, 0
    before = len(box.sent)
    while box.clock.now < begun + seconds:
        box.clock.now += step
        passed += box.see(packet, upstream=upstream) is True
    return (passed + len(box.sent) - before) * size * 8 / 1000 / seconds


def test_a_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    bucket = Bucket(3000, 0.0)
    assert [bucket.take(1000, 8.0, 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, None]
    assert [bucket.take(1000, 8.0, 101.0) for _ in range(2)] == [0.0, None]  # 8 kbit/s are 1000 bytes a second


def test_a_bucket_with_a_queue_holds_up() -> None:
    bucket = Bucket(1000, 2.5)
    assert [bucket.take(1000, 8.0, 100.0) for _ in range(5)] == [0.0, 1.0, 2.0, None, None]


@pytest.mark.parametrize("mode", ["police", "shape"])
def test_a_named_flow_gets_its_rate_and_others_all(mode: Any) -> None:
    box = Box(Throttle(at="x", words=("video",), rate=400, mode=mode))
    assert box.see(segment(HELLO)) is True
    assert 390 < rate_of(box) < 440 + (400 * 1.0 / 10 if mode == "shape" else 0)
    assert rate_of(box, port=5001) > 15_000


def test_a_flow_is_chosen_by_any_kind_of_name() -> None:
    for payload in (HELLO, http.request("video.example")):
        box = Box(Throttle(at="x", words=("video",), rate=400))
        box.see(segment(payload))
        assert rate_of(box) < 450
    for payload, where in ((HELLO, ("host",)), (http.request("video.example"), ("sni",)), (b"video.example", ("sni",))):
        box = Box(Throttle(at="x", words=("video",), rate=400, where=where))  # type: ignore[arg-type]
        box.see(segment(payload))
        assert rate_of(box, seconds=1) > 15_000
    box = Box(Throttle(at="x", words=("video",), rate=400))
    initial = quic.client_initial("video.example", bytes(8), b"", bytes(32))
    packet = Packet(4, HOME, SERVER, 60, 17, 1228, 1, header=Udp(5000, 443, 0), payload=initial)
    passed = [box.see(packet) for _ in range(50)]
    assert 10 < passed.count(True) < 16  # the burst


def test_a_new_connection_is_free_until_it_says_a_name() -> None:
    box = Box(Throttle(at="x", words=("video",), rate=400))
    box.see(segment(HELLO))
    assert rate_of(box, seconds=2) < 500
    box.see(segment(flags=Flags.SYN))
    assert rate_of(box, seconds=2) > 15_000


def test_a_home_shares_its_rate_where_it_must() -> None:
    box = Box(Throttle(at="x", words=("video",), rate=400, per="home"))
    for port in (5000, 5001):
        box.see(segment(HELLO, port=port))
    rate_of(box, seconds=0.5)
    assert rate_of(box, seconds=0.5, port=5001) < 450


def test_a_share_of_the_flows_and_one_direction() -> None:
    box = Box(Throttle(at="x", words=("video",), rate=400, share=0.0))
    box.see(segment(HELLO))
    assert rate_of(box, seconds=1) > 15_000
    box = Box(Throttle(at="x", words=("video",), rate=400, direction="up"))
    box.see(segment(HELLO))
    assert rate_of(box, seconds=1) > 15_000
    assert rate_of(box, upstream=True) < 450


def test_a_line_has_its_own_limits_for_all() -> None:
    box = Box(Line(at="x", down=2000, up=500))
    assert 1950 < rate_of(box) < 2110
    assert 490 < rate_of(box, upstream=True) < 540
    assert rate_of(Box(Line(at="x", down=100)), seconds=1, upstream=True) > 15_000


def test_others_in_the_home_come_and_go() -> None:
    box = Box(Line(at="x", down=2000, load=0.75, period=3.0), seed=4)
    rates = [rate_of(box, seconds=1) for _ in range(60)]
    assert min(rates) < 600
    assert max(rates) > 1900
    assert 900 < sum(rates) / len(rates) < 1600  # busy about half of the time


@pytest.mark.lab
def test_a_download_takes_as_long_as_the_line_allows(chain: Callable[..., Lab]) -> None:
    lab = chain(Line(at="chain.r1", down=1000, burst=1500))
    with lab.enter("chain"):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sink, lab.enter("server"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        sink.bind(("198.18.1.100", 9000))
        sink.settimeout(10)

        def takes() -> float:
            begun = time.monotonic()
            for _ in range(30):
                source.sendto(bytes(972), ("198.18.1.100", 9000))  # 1000 bytes with its headers
            for _ in range(30):
                sink.recv(2000)
            return time.monotonic() - begun

        assert 0.2 < quickest(1.0, takes) < 1.0  # 240 kbit at 1 Mbit/s
