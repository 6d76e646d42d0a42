"""Streams: what is sent, what is read from what came back, and how it would have sounded."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._voip.call import Caller
from probe.measurements._voip.media import FULL, SPARSE, Plan, Stream, following, read, step, with_report
from probe.model.reflector import StreamReport
from probe.wire import reflector, rtp
from probe.wire.counters import datagram, inverted
from tests.measurements.simcalls import Filter, calls_net
from tests.measurements.simfar import EPOCH, FAR, HOME, SETTINGS
from tests.measurements.simnet import Internet, Network

TOKEN = reflector.mint(SETTINGS.secret, reflector.source_key(HOME[4]), EPOCH)


def play(network: Network, *, twin: bool = False, seconds: float = 4.0, interval: float = FULL) -> Stream:
    plan = Plan(20_001, False, twin, 1, interval, seconds)
    ssrc, asked = step(plan, Caller(FAR[4], TOKEN, Random(1)), Random(2))
    (exchange,) = Internet(network, 1).perform([asked])
    return read(plan, ssrc, exchange)


def reported(stream: Stream, arrived: list[bool]) -> Stream:
    begin = int.from_bytes(stream.step.payload[2:4], "big")
    there = [i for i, came in enumerate(arrived) if came]
    bits = "".join("1" if came else "0" for came in arrived[there[0] : there[-1] + 1])
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    report = StreamReport(ssrc=stream.ssrc, first=begin + there[0], last=begin + there[-1], arrived=data, jitter=0.004)
    return with_report(stream, report)


@pytest.mark.parametrize(("interval", "samples"), [(FULL, 160), (SPARSE, 480)])
def test_a_stream_is_g_711_in_rtp(interval: float, samples: int) -> None:
    ssrc, asked = step(Plan(5004, True, False, 1, interval, 1.2), Caller(FAR[4], TOKEN, Random(1)), Random(2))
    first, third = rtp.decode(datagram(asked, 0)), rtp.decode(datagram(asked, 2))
    assert (first.payload_type, first.ssrc, len(first.payload)) == (rtp.PCMU, ssrc, samples)
    assert (third.sequence - first.sequence) % 65536 == 2
    assert (third.timestamp - first.timestamp) % (1 << 32) == 2 * samples
    assert asked.count == round(1.2 / interval)


@pytest.mark.parametrize("sent", [60, 40, 0])
def test_a_stream_goes_on_behind_what_it_has_sent(sent: int) -> None:
    plan = Plan(5004, True, False, 1, FULL, 1.2)
    ssrc, asked = step(plan, Caller(FAR[4], TOKEN, Random(1)), Random(2))
    stream = Stream(plan=plan, step=asked, ssrc=ssrc, back=(True,) * sent)
    assert following(stream, 1) == datagram(msgspec.structs.replace(asked, count=999), sent + 1)


def test_a_twin_has_every_bit_flipped() -> None:
    caller = Caller(FAR[4], TOKEN, Random(1))
    _, real = step(Plan(5004, True, False, 1), caller, Random(2))
    _, twin = step(Plan(5004, True, True, 1), Caller(FAR[4], TOKEN, Random(1)), Random(2))
    assert datagram(twin, 7) == inverted(datagram(real, 7))


@pytest.mark.parametrize("twin", [False, True])
def test_a_quiet_line_carries_it_all(twin: bool) -> None:
    stream = play(calls_net(), twin=twin)
    assert (stream.loss, stream.cut, stream.failed, stream.lasting) == (0, None, False, True)
    assert stream.round_trip == pytest.approx(0.018, abs=0.004)
    assert min(score for score in stream.score() if score) > 4.3
    assert stream.ttl is not None


def test_a_cut_has_a_packet_and_a_second() -> None:
    stream = play(calls_net(boxes=(Filter(at=4, match=("rtp",), after=100),)))
    assert (stream.cut, stream.failed) == (100, True)
    assert stream.show()["cut_at_s"] == 2.0


def test_a_stream_that_never_comes_through_is_cut_at_its_first_packet() -> None:
    stream = play(calls_net(boxes=(Filter(at=4, match=("rtp",)),)), seconds=1.5)
    assert (stream.cut, stream.loss, stream.lasting) == (0, 1.0, False)
    assert stream.score()[0] == 1.0


def test_a_short_gap_at_the_end_is_no_cut() -> None:
    stream = play(calls_net(boxes=(Filter(at=4, match=("rtp",), after=170),)))
    assert stream.cut is None


def test_both_directions_are_told_apart() -> None:
    stream = play(calls_net(boxes=(Filter(at=4, match=("rtp",), after=100, down=True),)))
    whole = reported(stream, [True] * 200)
    assert (whole.loss_up, whole.loss_down) == (0, 0.5)
    up, down = whole.score()
    assert down is not None
    assert up > 4 > 2 > down
    assert whole.jitter_up == 0.004


def test_what_came_back_has_arrived() -> None:
    stream = play(calls_net())
    sparse = reported(stream, [True, False] * 100)
    assert sparse.loss_up == 0


def test_without_a_word_of_the_far_end_both_directions_are_one() -> None:
    stream = play(calls_net(loss=0.1))
    assert stream.loss_up is None
    assert stream.score()[1] is None
    nothing = with_report(play(calls_net(boxes=(Filter(at=4, match=("rtp",)),))), None)
    assert (nothing.loss_up, nothing.loss_down) == (1.0, None)


@given(st.lists(st.booleans(), min_size=200, max_size=200).filter(any))
def test_any_report_can_be_read(arrived: list[bool]) -> None:
    stream = reported(play(calls_net(boxes=(Filter(at=2, match=("rtp",)),))), arrived)
    assert stream.up == tuple(arrived)


@given(st.integers(0, 1 << 32), st.integers(0, 1 << 17), st.binary(max_size=64))
def test_no_report_breaks_it(first: int, length: int, bits: bytes) -> None:
    stream = Stream(plan=Plan(5004, True, False, 1), step=step(
        Plan(5004, True, False, 1), Caller(FAR[4], TOKEN, Random(1)), Random(2))[1], ssrc=1, back=(True, False),
    )  # fmt: skip
    report = StreamReport(ssrc=1, first=first, last=first + length, arrived=bits)
    assert len(with_report(stream, report).up or ()) == 2
