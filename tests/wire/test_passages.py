"""Accounts of streams: exact to their unit, small, and read without trust."""

from __future__ import annotations

import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.model.exchange import Exchange, Heard, PauseStep, StreamStep
from probe.model.packet import Packet, Protocol, Udp
from probe.wire import passages
from probe.wire.counters import datagram
from probe.wire.passages import Passage, Passages, decode, encode, of, read

STEP = StreamStep(address="203.0.113.1", port=9, payload=b"\x80\0\xff\xf0" + bytes(20), count=500,
                  counters=((2, 2, 1),))  # fmt: skip


def packet(payload: bytes, outgoing: bool) -> Packet:
    ends = ("0.0.0.0", "203.0.113.1")
    source, destination = ends if outgoing else ends[::-1]
    ports = (40_000, 9) if outgoing else (9, 40_000)
    return Packet(4, source, destination, 64, Protocol.UDP, 28 + len(payload),
                  header=Udp(*ports, 8 + len(payload)), payload=payload)  # fmt: skip


def call(seed: int = 1, *, loss: float = 0.05) -> Passages:
    """Ten seconds of sound, jitter and all."""
    chance = Random(seed)
    sent = [Passage(n, round(n * 0.02 + chance.uniform(0, 0.002), 3)) for n in range(500)]
    back = [Passage(p.number, round(p.at + 0.03 + chance.uniform(0, 0.03), 3)) for p in sent if chance.random() > loss]
    return Passages(tuple(sent), tuple(sorted(back, key=lambda p: p.at)))


def test_it_comes_back_as_it_was() -> None:
    assert decode(STEP, encode(STEP, call())) == call()
    assert decode(STEP, encode(STEP, Passages())) == Passages()
    late = Passages((Passage(0, 0.0),), (Passage(0, 9.5), Passage(0, 9.6)))
    assert decode(STEP, encode(STEP, late)) == late


def test_a_call_is_small() -> None:
    assert len(zlib.compress(encode(STEP, call()), 9)) < 900


def test_few_packets_are_kept_and_all_that_is_no_echo() -> None:
    sound = [(n * 0.02, True, packet(datagram(STEP, n), True)) for n in range(100)]
    sound += [(n * 0.02 + 0.011, False, packet(datagram(STEP, n), False)) for n in range(0, 100, 2)]
    odd = (0.5, False, packet(b"something else", False))
    whole = sorted([*sound, odd], key=lambda one: one[0])
    found, kept = read(STEP, whole)
    assert [p.number for p in found.sent] == list(range(100))
    assert [p.number for p in found.back] == list(range(0, 100, 2))
    assert found.back[1].at == pytest.approx(0.051)
    left = [whole[index] for index in kept]
    assert len(left) == 3
    assert odd in left
    for outgoing, numbers in ((True, [0]), (False, [98])):
        payloads = [one.payload for _, out, one in left if out is outgoing and one.payload != odd[2].payload]
        assert payloads == [datagram(STEP, n) for n in numbers]


def test_an_exchange_is_read_by_its_account_before_its_packets() -> None:
    heard = (Heard(0.0, True, packet(datagram(STEP, 0), True)), Heard(0.02, False, packet(datagram(STEP, 0), False)))
    bare = Exchange(step=STEP, heard=heard, sent_at=0.0)
    assert of(bare) == Passages((Passage(0, 0.0),), (Passage(0, 0.02),))
    assert of(Exchange(step=STEP, heard=heard, sent_at=0.0, account=encode(STEP, call()))) == call()
    assert of(Exchange(step=PauseStep(seconds=1.0))) == Passages()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\x01", b"\x01\x00", b"\x02\x00\x00", b"\x80", b"\x00\x01\x00", b"\xff" * 30, b"\x01\xe8\x07\x00"],
)
def test_what_is_no_account(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode(STEP, data)


@given(st.binary(max_size=200))
def test_only_our_own_error_comes_out(data: bytes) -> None:
    try:
        found = decode(STEP, data)
    except MalformedPacket:
        return
    assert all(0 <= one.number < STEP.count for one in (*found.sent, *found.back))


@given(st.lists(st.tuples(st.integers(0, 499), st.integers(0, 10**6))), st.booleans())
def test_any_order_and_any_time(ones: list[tuple[int, int]], outgoing: bool) -> None:
    told = tuple(Passage(number, round(at * passages.UNIT, 4)) for number, at in ones)
    whole = Passages(told if outgoing else (), () if outgoing else told)
    assert decode(STEP, encode(STEP, whole)) == whole
