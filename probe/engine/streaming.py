"""A stream of datagrams at a steady pace, as a call's media is sent."""

from __future__ import annotations

import asyncio
import math

import msgspec

from probe.engine import sockets
from probe.engine.bench import Bench
from probe.engine.budget import HEADERS
from probe.engine.intake import Waiter
from probe.engine.observe import Watch, transport
from probe.model.exchange import Failure, StreamStep
from probe.model.outcome import Entry
from probe.wire import passages
from probe.wire.counters import datagram

_CLOSEST = 0.5  # of the interval: how close two datagrams may follow each other after a delay of this machine
_LATEST = 1.25  # of the time that a stream is to take: a machine that can't keep the pace leaves out the rest
_SLACK = 1.0  # seconds besides: a short stream may wait for a busy machine once


async def stream(bench: Bench, step: StreamStep) -> Entry:
    """Send all of it and listen.

    Its share of the packets a second is kept for it beforehand, so that other steps can't make it falter, and its bytes
    are paid for before it begins; what was not sent is given back. A stream for which the line's allowance is too small
    ends with the failure ``error`` before it begins. Raises BudgetExhausted, CannotMeasure, MalformedPacket (counters
    beside the payload) and OSError.
    """
    each = HEADERS + len(datagram(step, 0))
    rate = math.ceil(1 / max(step.interval, 0.0001))
    if not bench.pace.carries(step.address, rate):
        note = f"[safety] has no room for {rate} packets a second beside others"
        return bench.done(step, 0, bench.timeline.now(), "error", note)
    async with bench.pace.reserved(step.address, rate, step.count * each):
        sent = 0
        try:
            port = bench.port_of(step)
            began = bench.timeline.now()
            failure: Failure = ""
            note = ""
            given_up = False
            longest = _LATEST * step.count * step.interval + _SLACK
            with bench.intake.waiter((transport(step), port), step, began) as waiter:
                start = last = asyncio.get_running_loop().time()
                for number in range(step.count):
                    last = await _turn(start + number * step.interval, last, step.interval)
                    given_up = _given_up(bench, step, waiter)
                    if given_up or last - start > longest:
                        break
                    try:
                        await sockets.patiently(lambda number=number: _send(bench, step, number))  # type: ignore[misc]
                    except OSError as error:
                        failure, note = "error", sockets.explain(error)
                        break
                    bench.sent()
                    sent += 1
                if not given_up and not failure:
                    await asyncio.sleep(step.wait)
        finally:
            bench.pace.give_back((step.count - sent) * each)
    bench.intake.drain()
    return _told(bench, bench.done(step, port, began, failure, note))


def _told(bench: Bench, entry: Entry) -> Entry:
    """The entry with an account of all datagrams, most of which are then not kept as packets."""
    step, key = entry.step, (transport(entry.step), entry.port)
    assert isinstance(step, StreamStep)  # noqa: S101 - only such come here
    watch = Watch(step)
    taken = [r for r in bench.intake.of(key) if entry.began <= r.ns <= entry.ended and watch.takes(r)]
    found, kept = passages.read(step, [((r.ns - entry.began) / 1e9, r.outgoing, r.packet) for r in taken])
    stay = set(kept)
    bench.intake.forget(key, [record for index, record in enumerate(taken) if index not in stay])
    return msgspec.structs.replace(entry, account=passages.encode(step, found))


async def _turn(due: float, last: float, interval: float) -> float:
    """Wait until a datagram is due, never too close behind the one before; returns the time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(due, last + _CLOSEST * interval) - loop.time() if last != due else 0)
    return loop.time()


def _given_up(bench: Bench, step: StreamStep, waiter: Waiter) -> bool:
    silent = bench.timeline.now() - max(waiter.since, waiter.heard_at)
    return step.give_up > 0 and silent > step.give_up * 1e9


def _send(bench: Bench, step: StreamStep, number: int) -> None:
    sock = bench.socket_of(step)
    sockets.send_datagram(sock, datagram(step, number), sockets.header_fields(sock.family, step.ttl))
