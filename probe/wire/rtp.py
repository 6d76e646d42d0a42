"""RTP packets (RFC 3550), what G.711 puts into them, and the receiver's arithmetic: sequence numbers, loss, jitter."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

import msgspec

from probe.model.errors import MalformedPacket

PCMU, PCMA = 0, 8
RATE = 8000
"""Samples a second of G.711, and ticks of its timestamps (RFC 3551)."""
_HEAD = struct.Struct("!BBHII")
_SILENCE = {PCMU: 0xFF, PCMA: 0xD5}  # the code of the smallest positive sample (ITU-T G.711)
# RTCP's packet types with the marker bit taken off: never payload types of RTP on the same port (RFC 5761, 4)
_RTCP = range(64, 96)


class Packet(msgspec.Struct, frozen=True):
    """One packet; ``payload`` without padding. ``extension``: its profile and data, None if there is none."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    sources: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None


def encode(packet: Packet) -> bytes:
    """Bytes of a packet. Raises MalformedPacket for fields that do not fit."""
    first = 0x80 | (packet.extension is not None) << 4 | len(packet.sources) & 15
    try:
        head = _HEAD.pack(
            first, packet.marker << 7 | packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc
        )
        head += b"".join(source.to_bytes(4, "big") for source in packet.sources)
        if packet.extension is not None:
            profile, data = packet.extension
            if len(data) % 4:
                raise MalformedPacket("an RTP header extension is a multiple of 4 bytes")
            head += struct.pack("!HH", profile, len(data) // 4) + data
    except (struct.error, OverflowError) as error:
        raise MalformedPacket(f"no RTP packet: {error}") from None
    if len(packet.sources) > 15 or not 0 <= packet.payload_type < 128:
        raise MalformedPacket("no RTP packet: at most 15 sources and a payload type below 128")
    return head + packet.payload


def is_rtp(data: bytes) -> bool:
    """Whether bytes may be RTP: version 2, a whole header, and no packet type of RTCP."""
    return len(data) >= 12 and data[0] >> 6 == 2 and data[1] & 0x7F not in _RTCP


def decode(data: bytes) -> Packet:
    """Decode a datagram. Raises MalformedPacket."""
    if not is_rtp(data):
        raise MalformedPacket("no RTP packet")
    first, second, sequence, timestamp, ssrc = _HEAD.unpack_from(data)
    at = 12 + 4 * (first & 15)
    if at > len(data):
        raise MalformedPacket("RTP sources cut")
    sources = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(12, at, 4))
    extension = None
    if first & 0x10:
        profile, words = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        start, at = at + 4, at + 4 + 4 * words
        if at > len(data):
            raise MalformedPacket("RTP header extension cut")
        extension = profile, data[start:at]
    end = len(data)
    if first & 0x20:
        if not 1 <= data[-1] <= end - at:
            raise MalformedPacket("RTP padding")
        end -= data[-1]
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[at:end], second >= 0x80, sources, extension)


def silence(samples: int = 160, payload_type: int = PCMU) -> bytes:
    """G.711 of silence: 160 samples are the usual 20 ms."""
    return bytes((_SILENCE[payload_type],)) * samples


def tone(hertz: float = 425.0, samples: int = 160, start: int = 0, level: float = 0.25) -> bytes:
    """G.711 µ-law of a sine (425 Hz is Europe's dial tone); ``start`` samples into it, ``level`` of full scale."""
    step = 2 * math.pi * hertz / RATE
    return bytes(_mu_law(round(32767 * level * math.sin(step * (start + i)))) for i in range(samples))


def _mu_law(sample: int) -> int:
    """The µ-law code of a 16-bit sample (ITU-T G.711: a sign, three bits of segment, four of step, all inverted)."""
    magnitude = min(abs(sample), 32635) + 132
    segment = magnitude.bit_length() - 8
    code = segment << 4 | magnitude >> (segment + 3) & 15
    return ~(code | (0x80 if sample < 0 else 0)) & 0xFF


class Receiver:
    """Counts one source's packets as a receiver of RTP does (RFC 3550, A.1, A.3, A.8)."""

    def __init__(self, rate: int = RATE) -> None:
        self._rate = rate
        self._base = self._highest = 0
        self._transit: float | None = None
        self.received = 0
        self.jitter = 0.0
        """Interarrival jitter in seconds (A.8)."""

    def take(self, at: float, sequence: int, timestamp: int) -> int:
        """Count a packet that arrived ``at`` seconds; returns its extended sequence number, which does not wrap.

        The first packet's is its own number; one that was sent before it and came later may be negative.
        """
        if not self.received:
            self._base = self._highest = sequence
        # The nearest number to the highest so far whose low 16 bits these are: late packets do not count as a wrap.
        extended = self._highest + (sequence - self._highest + 0x8000) % 0x10000 - 0x8000
        self._highest = max(self._highest, extended)
        self._base = min(self._base, extended)
        self.received += 1
        # Timestamps wrap as well: only their difference to the arrival, modulo their range, says anything.
        transit = (at * self._rate - timestamp) % (1 << 32)
        if self._transit is not None:
            apart = (transit - self._transit + (1 << 31)) % (1 << 32) - (1 << 31)
            self.jitter += (abs(apart) / self._rate - self.jitter) / 16
        self._transit = transit
        return extended

    @property
    def expected(self) -> int:
        """Packets from the first to the highest number."""
        return self._highest - self._base + 1 if self.received else 0

    @property
    def lost(self) -> int:
        """Expected less received (A.3); duplicates can make it negative."""
        return self.expected - self.received


def received(packets: Iterable[tuple[float, bytes]], ssrc: int, rate: int = RATE) -> tuple[Receiver, list[int]]:
    """A receiver that has taken all datagrams of one source, as (seconds, bytes), and their extended numbers."""
    receiver, numbers = Receiver(rate), []
    for at, data in packets:
        try:
            packet = decode(data)
        except MalformedPacket:
            continue
        if packet.ssrc == ssrc:
            numbers.append(receiver.take(at, packet.sequence, packet.timestamp))
    return receiver, numbers
