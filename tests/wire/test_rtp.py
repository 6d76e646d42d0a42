from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.rtp import RTP

from probe.model.errors import MalformedPacket
from probe.wire import rtp
from tests.wire.conftest import Dissect

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def _linear(code: int) -> int:
    """A µ-law code as the sample it stands for (ITU-T G.711, table 2a)."""
    code = ~code & 0xFF
    value = ((code & 15) << 3 | 132) << (code >> 4 & 7)
    return 132 - value if code & 0x80 else value - 132


def test_tone_is_the_sine() -> None:
    for i, code in enumerate(rtp.tone(425.0, 400)):
        exact = 32767 * 0.25 * math.sin(2 * math.pi * 425 * i / 8000)
        assert abs(_linear(code) - exact) <= max(4.0, abs(exact) / 16)
    assert rtp.tone(samples=160, start=0) + rtp.tone(samples=160, start=160) == rtp.tone(samples=320)
    assert {_linear(code) for code in rtp.silence()} == {0}
    assert rtp.silence(3, rtp.PCMA) == b"\xd5\xd5\xd5"


def test_scapy_and_wireshark_read_ours(dissect: Dissect) -> None:
    packets = [
        rtp.Packet(rtp.PCMU, 65534 + i, 1000, 0xDECAFBAD, rtp.silence(), marker=not i) for i in range(2)
    ] + [rtp.Packet(rtp.PCMA, 7, 8, 9, b"x" * 160, sources=(1, 2), extension=(0xBEDE, b"abcd"))]
    for packet in packets:
        seen = RTP(rtp.encode(packet))
        assert (seen.sequence, seen.timestamp, seen.sourcesync) == (packet.sequence, packet.timestamp, packet.ssrc)
        assert (bool(seen.marker), seen.payload_type, seen.numsync) == (
            packet.marker, packet.payload_type, len(packet.sources)
        )  # fmt: skip
    rows = dissect([rtp.encode(p) for p in packets], 40004, "rtp.seq", "rtp.ssrc", "rtp.p_type", decode_as="rtp")
    assert [int(row["rtp.seq"]) for row in rows] == [p.sequence for p in packets]
    assert [int(row["rtp.ssrc"], 16) for row in rows] == [p.ssrc for p in packets]
    assert [int(row["rtp.p_type"]) for row in rows] == [p.payload_type for p in packets]


@given(st.integers(0, 127).filter(lambda t: not 64 <= t < 96), U16, U32, U32, st.binary(max_size=40), st.booleans(),
       st.lists(U32, max_size=15), st.none() | st.tuples(U16, st.binary(max_size=8).map(lambda b: b * 4)),
       st.integers(0, 40))  # fmt: skip
def test_round_trip(
    kind: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool, sources: list[int],
    extension: tuple[int, bytes] | None, padding: int,
) -> None:  # fmt: skip
    packet = rtp.Packet(kind, sequence, timestamp, ssrc, payload, marker, tuple(sources), extension)
    raw = rtp.encode(packet)
    assert rtp.decode(raw) == packet
    if padding:
        padded = bytes((raw[0] | 0x20,)) + raw[1:] + bytes(padding - 1) + bytes((padding,))
        assert rtp.decode(padded) == packet


@given(st.binary(max_size=80))
def test_only_malformed_packet(noise: bytes) -> None:
    for data in (noise, b"\xbf\0" + noise):
        try:
            packet = rtp.decode(data)
        except MalformedPacket:
            continue
        assert len(packet.payload) <= len(data) - 12


def test_what_is_refused() -> None:
    raw = rtp.encode(rtp.Packet(0, 1, 2, 3, b"x"))
    for broken in (raw[:11], b"\x40" + raw[1:], raw[:1] + b"\xc8" + raw[2:], b"\x8f" + raw[1:], b"\x90" + raw[1:],
                   b"\xa0" + raw[1:-1] + b"\0", b"\xa0" + raw[1:-1] + b"\x09"):  # fmt: skip
        with pytest.raises(MalformedPacket):
            rtp.decode(broken)
    for packet in (
        rtp.Packet(0, 65536, 0, 0), rtp.Packet(0, 0, 0, -1), rtp.Packet(128, 0, 0, 0), rtp.Packet(300, 0, 0, 0),
        rtp.Packet(0, 0, 0, 0, sources=tuple(range(16))), rtp.Packet(0, 0, 0, 0, extension=(1, b"abc")),
    ):  # fmt: skip
        with pytest.raises(MalformedPacket):
            rtp.encode(packet)


def test_receiver_over_the_wrap() -> None:
    receiver = rtp.Receiver()
    numbers = [receiver.take(i * 0.02, (65530 + i) & 0xFFFF, i * 160) for i in range(20) if i not in (3, 9)]
    assert numbers == [65530 + i for i in range(20) if i not in (3, 9)]
    assert (receiver.received, receiver.expected, receiver.lost) == (18, 20, 2)
    assert receiver.jitter < 1e-9


def test_late_first_and_twice() -> None:
    receiver = rtp.Receiver()
    assert [receiver.take(0.02 * i, n, n * 160) for i, n in enumerate((1, 0, 65535, 2, 2))] == [1, 0, -1, 2, 2]
    assert (receiver.received, receiver.expected, receiver.lost) == (5, 4, -1)
    assert (rtp.Receiver().expected, rtp.Receiver().lost) == (0, 0)


def test_jitter_is_that_of_the_rfc() -> None:
    """Against appendix A.8's own integer code, over timestamps that wrap."""
    random = Random(3550)
    receiver = rtp.Receiver()
    reference, transit = 0.0, None
    for i in range(500):
        timestamp = (0xFFFFFF00 + 160 * i) & 0xFFFFFFFF
        arrival = 160 * i + random.randrange(400)
        receiver.take(arrival / 8000, i & 0xFFFF, timestamp)
        now = arrival - 160 * i
        if transit is not None:
            reference += (abs(now - transit) - reference) / 16
        transit = now
    assert receiver.jitter == pytest.approx(reference / 8000, rel=1e-9)
    assert 0.005 < receiver.jitter < 0.03


def test_received_takes_one_source_and_skips_noise() -> None:
    stream = [(0.02 * i, rtp.encode(rtp.Packet(0, i, 160 * i, 5 + i % 2))) for i in range(6)]
    receiver, numbers = rtp.received([*stream, (1.0, b"noise")], ssrc=5)
    assert numbers == [0, 2, 4]
    assert receiver.lost == 2
