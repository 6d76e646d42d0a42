"""A process like the daemon (its modules loaded, its loop running) that does jobs of ``make bench`` and times them.

Reads a job a line (JSON) from standard input and writes one line for each: seconds of wall and CPU, how much was right.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
import time
from random import Random
from typing import Any

import msgspec
from bench_common import resident_mb

import probe.agent.daemon  # noqa: F401 - what is measured is a daemon's process
from probe.engine.bench import Bench
from probe.engine.budget import Budget
from probe.engine.bulk.drive import beside
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.line import Line
from probe.engine.bulk.queries import ask
from probe.engine.bulk.sweep import FULL_TTL, ports, sweep
from probe.engine.clock import Timeline
from probe.engine.guard import Guard, networks
from probe.engine.interfaces import own_addresses
from probe.engine.pace import Pace
from probe.engine.perform import Performer
from probe.engine.ports import Ports
from probe.engine.raw import RawSender
from probe.engine.run import EngineRunner
from probe.model.config import Config, MeasureConfig, ProbeConfig, SafetyConfig
from probe.model.exchange import Exchange, Step, TcpStep, UdpStep
from probe.model.packet import Flags, Tcp
from probe.wire import dns, http
from probe.wire.scrub import Scrubber, home_networks

NETWORKS = ["198.18.0.0/15", "203.0.113.0/24", "2001:db8::/32"]
LIFTED = SafetyConfig(allow_networks=NETWORKS, packets_per_second=10**6, target_packets_per_second=10**6,
                      target_spacing=0.0, bytes_per_day=10**13)  # fmt: skip
FORBIDDEN, TOP = "forbidden.example", 12
_BESIDE = 0.002  # seconds to go on listening: a router's error may overtake the reset that a box beside it sends


class Work:
    """The jobs; each returns what it found."""

    def __init__(self) -> None:
        self._random = Random()

    def _line(self, rate: int) -> tuple[Line, Pace]:
        own, pace = own_addresses(), Pace(Budget(LIFTED))
        guard = Guard(networks(NETWORKS), own.addresses, own.networks)
        return Line(Gate(guard, pace.budget), own, self._random, rate), pace

    async def sweep(self, targets: list[str], hops: int, rate: int, kind: Any = "tcp") -> dict[str, Any]:
        """Every hop of every way."""
        line, pace = self._line(rate)
        found = await beside(sweep(line, targets, hops=hops, kind=kind), pace)
        return {"right": sum(map(len, found.answers)), "of": len(targets) * hops, "packets": found.packets}

    async def ports(self, cells: dict[str, bool], numbers: list[int], rate: int) -> dict[str, Any]:
        """Every cell: open (80, 443), closed, or lost on the way."""
        line, pace = self._line(rate)
        found = await beside(ports(line, list(cells), numbers), pace)
        said = [answers[FULL_TTL].said if answers else "" for answers in found.answers]
        wanted = ["" if not alive else "open" if port in (80, 443) else "closed"
                  for alive in cells.values() for port in numbers]  # fmt: skip
        right = sum(a == b for a, b in zip(said, wanted, strict=True))
        return {"right": right, "of": len(wanted), "packets": found.packets}

    async def dns(self, resolver: str, count: int, rate: int) -> dict[str, Any]:
        """Every answer with its TTL and identification."""
        line, pace = self._line(rate)
        asked = await beside(ask(line, resolver, [f"n{i}.bench.example" for i in range(count)]), pace)
        right = sum(any(r.ttl and r.ident is not None for r in replies) for replies in asked.replies)
        return {"right": right, "of": count, "packets": asked.packets}

    async def locate(self, kind: str, address: str) -> dict[str, Any]:
        """One pass over twelve TTLs: whether the lowest that elicits something is the box's (the sixth router); and how
        long it took beyond the line's own round trips, by the kernel's stamps."""
        own = own_addresses()
        bench = Bench(
            guard=Guard(networks(NETWORKS), own.addresses, own.networks), pace=Pace(Budget(LIFTED)), own=own,
            scrubber=Scrubber(own.addresses, home_networks(list(own.interfaces)), networks(NETWORKS)),
            ports=Ports(self._random), raw=RawSender(self._random), timeline=Timeline(),
        )  # fmt: skip
        steps = [_step(kind, address, ttl) for ttl in range(1, TOP + 1)]
        async with Performer(bench) as performer:
            begun = time.perf_counter()
            exchanges = await performer.perform(steps, lambda _entry: None)
            took = time.perf_counter() - begun
        elicited = [_elicited(kind, exchange) for exchange in exchanges]
        first = elicited.index(True) + 1 if True in elicited else 0
        trips = 2 if kind == "tcp" else 1  # a handshake comes before a trigger over TCP
        beyond = took - trips * min(_round_trip(exchange) for exchange in exchanges)
        return {"right": int(first == 6), "of": 1, "packets": len(steps), "took": beyond}

    async def verdict(self, measurement: str, options: dict[str, Any], measure: dict[str, Any]) -> dict[str, Any]:
        """A whole measurement with its trials and controls: whether it says interfered."""
        with tempfile.TemporaryDirectory() as folder:
            config = Config(safety=LIFTED, probe=ProbeConfig(state_dir=folder), measure=MeasureConfig(**measure))
            outcome = await EngineRunner(config).run(measurement, options)
        return {"right": int(outcome.judgement.verdict == "interfered"), "of": 1, "packets": outcome.evidence.packets}


def _round_trip(exchange: Exchange) -> float:
    """Seconds until the first packet came back: a SYN-ACK, or whatever a datagram elicited."""
    sent = next(heard.at for heard in exchange.heard if heard.outgoing)
    return next((heard.at - sent for heard in exchange.heard if not heard.outgoing), math.inf)


def _step(kind: str, address: str, ttl: int) -> Step:
    if kind == "dns":
        query = dns.query(FORBIDDEN, ttl)
        return UdpStep(address=address, port=53, payload=query, ttl=ttl, flow="q", match=(0, 2), wait=1.0)
    return TcpStep(address=address, port=80, payload=http.request(FORBIDDEN), ttl=ttl, wait=1.0, linger=_BESIDE)


def _elicited(kind: str, exchange: Exchange) -> bool:
    for heard in exchange.answers:
        header = heard.packet.header
        if kind == "dns" or (isinstance(header, Tcp) and header.flags & Flags.RST):
            return True
    return False


async def _main() -> None:
    work, loop = Work(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(line)
        before, cpu = time.perf_counter(), time.process_time()
        found = await getattr(work, job.pop("job"))(**job)
        wall, cpu = time.perf_counter() - before, time.process_time() - cpu
        told = {"wall": found.pop("took", wall), "cpu": cpu, "memory": resident_mb(), **found}
        print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
