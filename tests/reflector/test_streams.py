"""Receive reports hold exactly what arrived, whatever the order, the wraps and the losses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.model.reflector import MEMORY, StreamReport
from probe.reflector.streams import LONGEST, Streams
from probe.wire.rtp import Packet

SOURCE = b"home"


def numbers(report: StreamReport) -> list[int]:
    bits = "".join(f"{byte:08b}" for byte in report.arrived)
    return [report.first + i for i, bit in enumerate(bits) if bit == "1"]


def heard(streams: Streams, sequence: list[int], now: float = 0.0, source: bytes = SOURCE, ssrc: int = 7) -> None:
    for i, number in enumerate(sequence):
        packet = Packet(0, number % 65536, 160 * number % 2**32, ssrc)
        streams.note(source, packet, now + i / 50, port=5004, ttl=55, tos=i % 3, inverted=False)


def report(streams: Streams, now: float = 0.0, source: bytes = SOURCE, ssrc: int = 7) -> StreamReport:
    (found,) = streams.report(source, ssrc, now)
    return found


@given(st.integers(0, 65535), st.sets(st.integers(1, 1500)))
def test_the_very_numbers_that_arrived(start: int, offsets: set[int]) -> None:
    came = sorted({0, *offsets})
    streams = Streams()
    heard(streams, [start + one for one in came])
    found = report(streams)
    assert numbers(found) == [start + one for one in came]
    assert (found.first, found.last) == (start + came[0], start + came[-1])
    assert found.lost == came[-1] - came[0] + 1 - len(came)
    assert found.packets == len(came)


def test_reordering_and_duplicates_are_no_loss() -> None:
    streams = Streams()
    heard(streams, [10, 12, 11, 11, 9, 13])
    found = report(streams)
    assert numbers(found) == [9, 10, 11, 12, 13]
    assert (found.lost, found.packets) == (0, 6)


def test_a_wrap_is_no_jump() -> None:
    streams = Streams()
    heard(streams, [65534, 65535, 65536, 65538])
    assert numbers(report(streams)) == [65534, 65535, 65536, 65538]


def test_an_even_stream_has_no_jitter_and_an_uneven_one_has() -> None:
    even, uneven = Streams(), Streams()
    heard(even, list(range(200)))
    for i in range(200):
        packet = Packet(0, i, 160 * i, 7)
        uneven.note(SOURCE, packet, i / 50 + 0.01 * (i % 2), port=1, ttl=None, tos=None, inverted=False)
    assert report(even).jitter < 0.0001
    assert 0.008 < report(uneven).jitter < 0.012
    assert report(uneven).ttls == ()


def test_headers_are_kept() -> None:
    streams = Streams()
    heard(streams, list(range(10)))
    assert (report(streams).ttls, report(streams).toses, report(streams).port) == ((55,), (0, 1, 2), 5004)


def test_a_number_far_off_is_counted_and_nothing_more() -> None:
    streams = Streams()
    heard(streams, [0, 1, 2])
    heard(streams, [LONGEST + 5000])
    found = report(streams)
    assert (found.packets, found.last, len(found.arrived)) == (4, 2, 1)


def test_what_is_old_is_forgotten() -> None:
    streams = Streams()
    heard(streams, [1, 2])
    assert streams.report(SOURCE, 7, MEMORY + 1) == []
    heard(streams, [1], now=MEMORY + 2, ssrc=8)
    assert len(streams) == 1


def test_one_source_can_t_fill_the_memory_nor_can_many() -> None:
    streams = Streams()
    for ssrc in range(200):
        heard(streams, [1], ssrc=ssrc)
    assert len(streams) == 64
    for i in range(5000):
        heard(streams, [1], source=b"%d" % i)
    assert len(streams) <= 4096
    assert streams.report(b"4999", 7, 0.0)
