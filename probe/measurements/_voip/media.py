"""Streams of a call's sound to the reflector and back: G.711 in RTP, and their bit-inverted twins beside them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from probe.measurements._voip import mos
from probe.measurements._voip.call import Caller
from probe.model.exchange import Exchange, StreamStep
from probe.model.reflector import StreamReport
from probe.wire import passages, rtp
from probe.wire.counters import datagram, number_of

FULL, SPARSE = 0.02, 0.06
"""Seconds between packets: 160 samples each, the usual; 480, so that many streams fit the line's budget."""
BEGINNING = 1.5
"""Seconds of sound in which a call begins."""
LASTING = 3.0
"""Seconds from which on a stream counts among the calls that last."""
_SILENT = 1.0  # seconds without a packet that end a stream for good, if none comes after


class Plan(msgspec.Struct, frozen=True):
    """A stream to send: ``interval`` and ``seconds`` long; ``number`` tells flows apart."""

    port: int
    known: bool
    twin: bool
    number: int
    interval: float = FULL
    seconds: float = 10.0

    @property
    def flow(self) -> str:
        """Name of its UDP flow."""
        return f"rtp{'k' if self.known else 'r'}{'t' if self.twin else ''}{self.number}"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream fared. ``back``: which of its packets came back, in the order of sending; ``up``: which arrived at
    the far end, None where that is not known. Delay and jitter in seconds."""

    plan: Plan
    step: StreamStep
    ssrc: int
    back: tuple[bool, ...]
    up: tuple[bool, ...] | None = None
    round_trip: float | None = None
    jitter_up: float | None = None
    jitter_down: float = 0.0
    ttl: int | None = None

    @property
    def lasting(self) -> bool:
        """Whether it is one of the streams that last as calls do, rather than one that only begins."""
        return self.plan.seconds >= LASTING

    @property
    def beginning(self) -> float:
        """Share of the packets of its first :data:`BEGINNING` seconds that did not come back."""
        first = self.back[: round(BEGINNING / self.plan.interval)]
        return 1 - sum(first) / len(first) if first else 1.0

    @property
    def failed(self) -> bool:
        """Whether nobody could talk: half of it lost, or cut before its end."""
        return self.loss >= 0.5 or self.cut is not None

    @property
    def loss(self) -> float:
        """Share of the packets that did not come back."""
        return 1 - sum(self.back) / len(self.back) if self.back else 1.0

    @property
    def loss_up(self) -> float | None:
        """Share that did not arrive at the far end."""
        return None if self.up is None or not self.up else 1 - sum(self.up) / len(self.up)

    @property
    def loss_down(self) -> float | None:
        """Share of those that arrived that did not come back."""
        if self.up is None or not any(self.up):
            return None
        return 1 - sum(b for u, b in zip(self.up, self.back, strict=True) if u) / sum(self.up)

    @property
    def cut(self) -> int | None:
        """Number of the packet from which on none came back, for a second or more; None if the stream went on."""
        last = max((i for i, came in enumerate(self.back) if came), default=-1)
        ended = len(self.back) - 1 - last
        return last + 1 if ended * self.plan.interval >= min(_SILENT, self.plan.seconds / 2) else None

    def score(self) -> tuple[float, float | None]:
        """Mean opinion score of both directions: (up, down). Where they can't be told apart: both, and None."""
        delay = mos.mouth_to_ear(self.round_trip or 0.0, max(self.jitter_up or 0.0, self.jitter_down))
        if self.up is None:
            return self._mos(self.back, delay), None
        down = [b for u, b in zip(self.up, self.back, strict=True) if u]
        return self._mos(self.up, delay), self._mos(down, delay)

    @staticmethod
    def _mos(arrived: Sequence[bool], delay: float) -> float:
        loss = 1 - sum(arrived) / len(arrived) if arrived else 1.0
        return round(mos.mos(mos.rating(loss, mos.burst_ratio(arrived), delay)), 2)

    def show(self) -> dict[str, Any]:
        """For a finding's details: losses are shares, times milliseconds."""
        up, down = self.score()
        cut = self.cut
        return {
            "port": "well_known" if self.plan.known else "random", "twin": self.plan.twin,
            "packets": len(self.back), "interval_ms": round(1000 * self.plan.interval),
            "loss": round(self.loss, 4), "loss_up": _rounded(self.loss_up), "loss_down": _rounded(self.loss_down),
            "burst_ratio": round(mos.burst_ratio(self.back), 2),
            "mos_up": up, "mos_down": down, "rtt_ms": _milliseconds(self.round_trip),
            "jitter_up_ms": _milliseconds(self.jitter_up),
            "jitter_down_ms": _milliseconds(self.jitter_down),
            "cut_at_packet": cut, "cut_at_s": None if cut is None else round(cut * self.plan.interval, 2),
        }  # fmt: skip


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)


def step(plan: Plan, caller: Caller, random: Random) -> tuple[int, StreamStep]:
    """(SSRC, step) of a stream; numbers and times begin anywhere, as RFC 3550 wants it."""
    samples = round(plan.interval * rtp.RATE)
    ssrc = random.randrange(1 << 32)
    sound = caller.token() + rtp.silence(samples)[12:]
    first = rtp.encode(rtp.Packet(rtp.PCMU, random.randrange(1 << 16), random.randrange(1 << 32), ssrc, sound))
    return ssrc, StreamStep(
        address=caller.address, port=plan.port, payload=first, count=max(1, round(plan.seconds / plan.interval)),
        interval=plan.interval, counters=((2, 2, 1), (4, 4, samples)), inverted=plan.twin, flow=plan.flow, wait=1.0,
    )  # fmt: skip


def following(stream: Stream, number: int) -> bytes:
    """The datagram that would come ``number`` behind the last that a stream has sent: filters know sound by its
    numbers, and a busy machine may have left out the end."""
    number += len(stream.back)
    return datagram(msgspec.structs.replace(stream.step, count=number + 1), number)


def read(plan: Plan, ssrc: int, exchange: Exchange) -> Stream:
    """What became of a stream, as far as the probe itself sees it."""
    asked = exchange.step
    assert isinstance(asked, StreamStep)  # noqa: S101 - a stream was asked for
    sent: dict[int, float] = {}
    back: dict[int, float] = {}
    ttls = [h.packet.ttl for h in exchange.answers if number_of(asked, h.packet.payload) is not None]
    receiver = rtp.Receiver()
    found = passages.of(exchange)
    for one in found.sent:
        sent.setdefault(one.number, one.at)
    for one in found.back:
        if one.number not in back:
            back[one.number] = one.at
            receiver.take(one.at, one.number & 0xFFFF, one.number * round(plan.interval * rtp.RATE))
    trips = sorted(back[n] - sent[n] for n in back if n in sent)
    count = max(sent, default=-1) + 1
    return Stream(
        plan=plan, step=asked, ssrc=ssrc, back=tuple(n in back for n in range(count)),
        round_trip=trips[len(trips) // 2] if trips else None, jitter_down=receiver.jitter,
        ttl=ttls[-1] if ttls else None,
    )  # fmt: skip


def with_report(stream: Stream, report: StreamReport | None) -> Stream:
    """The stream with what the far end says of its arrival; None: it says that nothing came."""
    count = len(stream.back)
    if report is None:
        return msgspec.structs.replace(stream, up=(False,) * count)
    begin = int.from_bytes(stream.step.payload[2:4], "big")
    up = [False] * count
    for i in range(min(len(report.arrived) * 8, report.last - report.first + 1)):
        if report.arrived[i // 8] >> (7 - i % 8) & 1:
            number = (report.first + i - begin) & 0xFFFF
            if number < count:
                up[number] = True
    # What came back has arrived, whatever was forgotten.
    whole = tuple(u or b for u, b in zip(up, stream.back, strict=True))
    return msgspec.structs.replace(stream, up=whole, jitter_up=report.jitter)
