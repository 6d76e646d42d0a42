"""Payloads of a stream: written, recognised, never mistaken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.model.exchange import StreamStep
from probe.wire.counters import datagram, inverted, number_of

RTP = bytes.fromhex("8008 fffe 00000064 cafecafe") + b"\xd5" * 8


def stream(**what: object) -> StreamStep:
    given: dict[str, object] = {"counters": ((2, 2, 1), (4, 4, 160)), "count": 500}
    return StreamStep(address="203.0.113.9", port=9, payload=RTP, **(given | what))  # type: ignore[arg-type]


def test_sequence_and_time_stamp_grow_and_wrap() -> None:
    assert datagram(stream(), 0) == RTP
    assert datagram(stream(), 2) == bytes.fromhex("8008 0000 000001a4 cafecafe") + b"\xd5" * 8


def test_the_twin_has_every_bit_flipped() -> None:
    twin = datagram(stream(inverted=True), 7)
    assert [a ^ b for a, b in zip(twin, datagram(stream(), 7), strict=True)] == [255] * len(RTP)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2, 499])
def test_each_is_recognised(flipped: bool, number: int) -> None:
    step = stream(inverted=flipped)
    assert number_of(step, datagram(step, number)) == number
    assert number_of(step, inverted(datagram(step, number))) is None


def test_what_is_none_of_them_is_not_taken_for_one() -> None:
    assert number_of(stream(), datagram(stream(), 500)) is None  # not sent
    assert number_of(stream(), b"") is None
    assert number_of(stream(), datagram(stream(), 3) + b"x") is None
    assert number_of(stream(counters=((2, 2, 3),)), datagram(stream(counters=((2, 2, 1),)), 4)) is None


def test_a_stream_without_counters_repeats_itself() -> None:
    step = stream(counters=())
    assert datagram(step, 9) == RTP
    assert number_of(step, RTP) == 0
    assert number_of(step, RTP[1:]) is None


@pytest.mark.parametrize("counter", [(18, 4, 1), (-1, 2, 1), (2, 0, 1), (2, -1, 1)])
def test_a_counter_beside_the_payload_is_refused(counter: tuple[int, int, int]) -> None:
    with pytest.raises(MalformedPacket):
        datagram(stream(counters=(counter,)), 1)


@given(st.binary(max_size=32), st.booleans())
def test_any_bytes_may_come_back(payload: bytes, flipped: bool) -> None:
    step = stream(inverted=flipped)
    number = number_of(step, payload)
    assert number is None or datagram(step, number) == payload
