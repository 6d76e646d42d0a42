"""Single packets: a datagram by a kernel socket, a bare SYN or an echo request by a raw one."""

from __future__ import annotations

import msgspec

from probe.engine import sockets
from probe.engine.bench import Bench
from probe.engine.budget import HEADERS
from probe.engine.observe import transport
from probe.model.exchange import EchoStep, Failure, SynStep, UdpStep
from probe.model.outcome import Entry

UNIT = 1_000_000
"""Nanoseconds to which the log tells when a datagram was listened for."""


async def probe(bench: Bench, step: UdpStep | SynStep | EchoStep) -> Entry:
    """Send it when the budget allows, and listen. Raises BudgetExhausted, CannotMeasure and OSError."""
    payload = len(step.payload) if isinstance(step, UdpStep) else 0
    await bench.pace.allow(step.address, 1, HEADERS + payload)
    port = bench.port_of(step)
    began = bench.timeline.now()
    failure: Failure = ""
    note = ""
    with bench.intake.waiter((transport(step), port), step, began) as waiter:
        try:
            await sockets.patiently(lambda: send(bench, step, port))
        except OSError as error:
            failure, note = "error", sockets.explain(error)
        else:
            bench.sent()
            await waiter.listen(step.wait, step.linger if isinstance(step, UdpStep) else 0.0)
    bench.intake.drain()
    entry = bench.done(step, port, began, failure, note)
    # To the millisecond: the log of a company's thousand probes must fit into a message of the feed.
    return msgspec.structs.replace(entry, began=began - began % UNIT, ended=entry.ended + -entry.ended % UNIT)


def send(bench: Bench, step: UdpStep | SynStep | EchoStep, port: int) -> None:
    """Send it now. Raises OSError."""
    if isinstance(step, SynStep):
        bench.raw.syn(bench.route(step.address), step.address, port, step.port, step.ttl)
    elif isinstance(step, EchoStep):
        bench.raw.echo(step.address, port, step.ttl)
    else:
        sock = bench.socket_of(step)
        sockets.send_datagram(sock, step.payload, sockets.header_fields(sock.family, step.ttl, step.tos))
