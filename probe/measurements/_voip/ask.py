"""What a measurement of calls asks of its far end, by the round; and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence

from probe.measurements import Context, Part, T, _far
from probe.measurements._judge import hops_away
from probe.measurements._together import together
from probe.measurements._voip.call import OVER_TCP, Call, Caller, Said
from probe.measurements._voip.grid import KNOWN, PROTOCOLS, Protocol
from probe.measurements._voip.media import FULL, SPARSE, Plan, Stream, read, step, with_report
from probe.measurements._voip.seen import Seen
from probe.model.exchange import Exchange, PauseStep, Step, StreamStep, SynStep, TcpStep, UdpStep
from probe.model.reflector import StreamReport
from probe.wire import dns

_CELLS = ((True, False), (True, True), (False, True), (False, False))
_RUN, _MANY, _MORE = 41.0, 20, 5.0  # seconds until the last controls; for each call beyond so many, more of them
_TOKEN = 240.0  # … and never more than a token is good for
_FARTHEST = 30
_PACE = 180  # packets that leave in a second, by the default budget
_PACKETS: dict[type, int] = {UdpStep: 1, SynStep: 1, TcpStep: 4}


class Stopwatch:
    """About how many seconds have passed: a measurement has no clock, but what it asked for and heard has times.

    ``calls``: how many of each kind were asked for; a run that makes more than twenty may take longer than 45 s.
    """

    def __init__(self, calls: int = _MANY) -> None:
        self.passed = 0.0
        self._most = min(_TOKEN, _RUN + _MORE * max(0, calls - _MANY))

    def during(self, part: Part[T]) -> Part[T]:
        """Runs a part and counts what it takes."""
        exchanges: list[Exchange] | None = None
        while True:
            try:
                batch = next(part) if exchanges is None else part.send(exchanges)
            except StopIteration as stop:
                result: T = stop.value
                return result
            exchanges = yield batch
            leaving = sum(_PACKETS.get(type(exchange.step), 0) for exchange in exchanges) / _PACE
            self.passed += leaving + max((_took(exchange) for exchange in exchanges), default=0.0)

    @property
    def left(self) -> float:
        """Seconds until the run should end."""
        return self._most - self.passed


def _took(exchange: Exchange) -> float:
    one, last = exchange.step, max((h.at for h in exchange.heard), default=0.0)
    if isinstance(one, PauseStep):
        return one.seconds
    if isinstance(one, StreamStep):
        return max(last, one.count * one.interval + one.wait)
    if isinstance(one, UdpStep):
        return last if exchange.answers else (exchange.sent_at or 0.0) + one.wait
    if isinstance(one, TcpStep) and exchange.failure == "timeout":
        return one.connect_wait
    return last


class Line:
    """The far end with its ports, and flows numbered so that no two calls share one."""

    def __init__(self, far: _far.Far, context: Context) -> None:
        self._far, self._context = far, context
        self._number = 0
        self.caller = Caller(far.address, bytes.fromhex(far.grant.token), context.random)

    @property
    def address(self) -> str:
        """The far end's address."""
        return self._far.address

    def known(self, protocol: Protocol) -> int:
        """A protocol's well-known port."""
        return KNOWN[protocol]

    def random_ports(self, protocol: Protocol) -> list[int]:
        """Ports that no service is known by."""
        served = self._far.grant.tcp if protocol in OVER_TCP else self._far.grant.udp
        return [port for port in self._far.grant.random if port in served]

    def served(self) -> list[Protocol]:
        """Protocols of which the far end serves both the well-known and a random port; sound apart."""
        return [p for p in PROTOCOLS if p != "rtp" and self._serves(p)]

    def unserved(self) -> list[Protocol]:
        """The others, sound among them: what a run can't ask about."""
        return [p for p in PROTOCOLS if not self._serves(p)]

    def media_ports(self) -> bool:
        """Whether it serves those of sound."""
        return self._serves("rtp")

    def _serves(self, protocol: Protocol) -> bool:
        served = self._far.grant.tcp if protocol in OVER_TCP else self._far.grant.udp
        return KNOWN[protocol] in served and bool(self.random_ports(protocol))

    def port(self, protocol: Protocol, known: bool) -> int:
        """The well-known port, or one of the others by chance."""
        return KNOWN[protocol] if known else self._context.random.choice(self.random_ports(protocol))

    def number(self) -> int:
        """A number that no flow has yet."""
        self._number += 1
        return self._number

    def top(self, seen: Seen) -> int:
        """A TTL that surely arrives."""
        ttl = seen.reply_ttl()
        return _FARTHEST if ttl is None else min(_FARTHEST, hops_away(ttl) + 4)

    def calls(self, protocols: Sequence[Protocol], pairs: int) -> list[Call]:
        """``pairs`` calls of each cell, in alternating order: what happens to the line meanwhile meets all alike."""
        return [
            Call(protocol, self.port(protocol, known), known, twin, self.number())
            for pair in range(pairs)
            for protocol in protocols
            for known, twin in _turned(_CELLS, pair)
        ]

    def twins(self, count: int) -> Part[list[Said]]:
        """Twins to random ports: the controls that are made after all else."""
        served = self.served()
        over_udp = [p for p in ("stun", "sip", "turn") if p in served]
        over_tcp = [p for p in ("sip_tcp", "sip_tls") if p in served]
        protocols: list[Protocol] = [*over_udp[:1], *over_tcp[:1]]
        calls = [Call(p, self.port(p, False), False, True, self.number()) for _ in range(count) for p in protocols]
        parts = [
            self.caller.dial([c for c in calls if c.protocol not in OVER_TCP]),
            self.caller.connect([c for c in calls if c.protocol in OVER_TCP]),
        ]
        return [one for said in (yield from together(parts)) for one in said]

    def streams(self, each: int, interval: float, seconds: float, known: bool = True) -> Part[list[Stream]]:
        """``each`` streams of each cell side by side; only to random ports if not ``known``."""
        cells = tuple(cell for cell in _CELLS if known or not cell[0])
        plans = [
            Plan(self.port("rtp", k), k, twin, self.number(), interval, seconds)
            for i in range(each)
            for k, twin in _turned(cells, i)
        ]
        return (yield from self._play(plans))

    def lasting(self, seconds: float) -> Part[list[Stream]]:
        """One stream of each cell that lasts as calls do: at full rate to random ports, sparse to the well-known."""
        plans = [
            Plan(self.port("rtp", known), known, twin, self.number(), SPARSE if known else FULL, seconds)
            for known, twin in _CELLS
        ]
        return (yield from self._play(plans))

    def _play(self, plans: list[Plan]) -> Part[list[Stream]]:
        made = [step(plan, self.caller, self._context.random) for plan in plans]
        steps: list[Step] = [one for _, one in made]
        exchanges = yield steps
        return [read(plan, ssrc, e) for plan, (ssrc, _), e in zip(plans, made, exchanges, strict=True)]

    def reported(self, streams: Sequence[Stream]) -> Part[list[Stream]]:
        """The streams with what the far end says of their arrival, where it could be asked."""
        reports = yield from _far.report(self._far, [one.ssrc for one in streams], self._context)
        if reports is None:
            return list(streams)
        return [with_report(one, _report(reports[one.ssrc], one)) for one in streams]

    def name_queries(self, count: int = 5) -> Part[tuple[int, int]]:
        """(answered, asked) queries to the far end's own name server, over UDP."""
        zone = self._far.grant.zone
        if not zone or 53 not in self._far.grant.udp:
            return 0, 0
        steps: list[Step] = [
            UdpStep(
                address=self.address, port=53, payload=dns.query(f"present.{zone}", 1 + i, dns.A), flow=f"name{i}",
                match=(0, 2),
            )
            for i in range(count)
        ]  # fmt: skip
        exchanges = yield steps
        return sum(bool(exchange.answers) for exchange in exchanges), count


def _turned(cells: tuple[tuple[bool, bool], ...], by: int) -> tuple[tuple[bool, bool], ...]:
    """Each cell takes its turn at going first."""
    by %= len(cells)
    return cells[by:] + cells[:by]


def _report(found: tuple[StreamReport, ...], stream: Stream) -> StreamReport | None:
    return next((one for one in found if one.inverted == stream.plan.twin), None)
