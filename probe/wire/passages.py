"""When each datagram of a stream left, and when it came back: an account that stands for the packets themselves.

A call's sound is thousands of packets that differ in a counter; evidence keeps a few of them and this account of all.
Format: unsigned LEB128 (DWARF 5, 7.6) numbers, signed ones folded as 2n or -2n-1. First how many datagrams were sent;
then of those, in order of time, how far each one's number is ahead of the one after the datagram before; then how much
later each was than the steady pace, beside the datagram before, in milliseconds. Then the same of all that came back,
but that these are told against when they had left.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.model.errors import MalformedPacket
from probe.model.exchange import Exchange, StreamStep
from probe.model.packet import Packet, Udp
from probe.wire import varint
from probe.wire.counters import number_of

UNIT = 1e-3
"""Seconds that a time is told to: what delay and jitter do to a call is counted in tens of these."""
_MOST = 24  # packets of other kinds that are kept
_LONGEST = 10  # bytes of a number


class Passage(msgspec.Struct, frozen=True, array_like=True):
    """One datagram: which of the stream's, and when, in seconds since the exchange began."""

    number: int
    at: float


class Passages(msgspec.Struct, frozen=True):
    """All datagrams of a stream, in order of time: those that left, and those that came back as they had left."""

    sent: tuple[Passage, ...] = ()
    back: tuple[Passage, ...] = ()


def read(step: StreamStep, packets: Sequence[tuple[float, bool, Packet]]) -> tuple[Passages, list[int]]:
    """The passages among (time, outgoing, packet), and which of the packets are to be kept: the first that was sent,
    the last that came back, and what is neither the stream's own datagram nor its echo, up to some number."""
    found: dict[bool, list[tuple[int, Passage]]] = {True: [], False: []}
    odd: list[int] = []
    for index, (at, outgoing, packet) in enumerate(packets):
        number = number_of(step, packet.payload) if isinstance(packet.header, Udp) else None
        if number is None:
            odd.append(index)
        else:
            found[outgoing].append((index, Passage(number, round(at / UNIT) * UNIT)))
    kept = odd[:_MOST] + [index for index, _ in [*found[True][:1], *found[False][-1:]]]
    return Passages(*(tuple(one for _, one in found[outgoing]) for outgoing in (True, False))), sorted(kept)


def of(exchange: Exchange) -> Passages:
    """The passages of a stream's exchange: by its account, or by its packets where it has none (a stream that did not
    begin; evidence from before there were accounts). Raises MalformedPacket."""
    step = exchange.step
    if not isinstance(step, StreamStep):
        return Passages()
    if exchange.account:
        return decode(step, exchange.account)
    return read(step, [(h.at, h.outgoing, h.packet) for h in exchange.heard])[0]


def encode(step: StreamStep, passages: Passages) -> bytes:
    """The account."""
    out = bytearray(varint.encode(len(passages.sent)))
    for ones, due in ((passages.sent, _Due(step)), (passages.back, _Due(step, passages.sent))):
        number = time = 0
        ahead, later = bytearray(), bytearray()
        for one in ones:
            late = round((one.at - due.at(one.number)) / UNIT)
            ahead += varint.encode(_fold(one.number - number))
            later += varint.encode(_fold(late - time))
            number, time = one.number + 1, late
        out += ahead + later
    return bytes(out)


def decode(step: StreamStep, data: bytes) -> Passages:
    """Read an account of ``step``. Raises MalformedPacket."""
    values = _numbers(data)
    if not values or len(values) % 2 == 0 or values[0] * 2 > len(values) - 1:
        raise MalformedPacket("an account of a stream that is cut short")
    found: list[tuple[Passage, ...]] = []
    end = 1 + 2 * values[0]
    for part in (values[1:end], values[end:]):
        due = _Due(step, found[0] if found else ())
        number = time = 0
        ones = []
        half = len(part) // 2
        for ahead, later in zip(part[:half], part[half:], strict=True):
            number, time = number + _unfold(ahead), time + _unfold(later)
            if not 0 <= number < step.count:
                raise MalformedPacket(f"an account of datagram {number} in a stream of {step.count}")
            ones.append(Passage(number, round(time * UNIT + due.at(number), 4)))
            number += 1
        found.append(tuple(ones))
    return Passages(*found)


class _Due:
    """Against what times are told: when a datagram left, or, where that is not known, the steady pace."""

    def __init__(self, step: StreamStep, sent: Sequence[Passage] = ()) -> None:
        self._interval, self._sent = step.interval, {one.number: one.at for one in sent}

    def at(self, number: int) -> float:
        return self._sent.get(number, number * self._interval)


def _fold(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unfold(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value + 1 >> 1)


def _numbers(data: bytes) -> list[int]:
    values: list[int] = []
    at = 0
    try:
        while at < len(data):
            value, at = varint.decode(data, at, _LONGEST)
            values.append(value)
    except IndexError:
        raise MalformedPacket("an account of a stream that is cut short") from None
    return values
