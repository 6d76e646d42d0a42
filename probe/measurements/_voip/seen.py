"""What a measurement of calls has seen so far. No verdicts: `_voip.verdict` has the rules."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from probe.measurements._voip.alg import Gateway
from probe.measurements._voip.call import OVER_TCP, Said
from probe.measurements._voip.grid import PROTOCOLS, Grid, Protocol, Why
from probe.measurements._voip.media import Stream
from probe.measurements._voip.place import Located
from probe.measurements._voip.service import Asked, Side

GRIDS = (*PROTOCOLS, "rtp_long")
"""Names of the grids: the protocols, and the streams of media that last."""
QUESTIONS = 4 * len(GRIDS)
"""Comparisons that a run makes: each grid's two ports, and payloads on either port and on both."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that fails beyond chance: which grid, why, and where a sweep saw it."""

    grid: str
    why: Why
    located: Located | None = None

    @property
    def protocol(self) -> Protocol:
        """The grid's protocol."""
        return protocol_of(self.grid)


class Seen:
    """Calls, streams, controls and places."""

    def __init__(self, target: str, reflector: str, group: str) -> None:
        self.target, self.reflector, self.group = target, reflector, group
        self.grids = {name: Grid(protocol_of(name)) for name in GRIDS}
        self.said: list[Said] = []
        self.after: list[Said] = []
        self.streams: list[Stream] = []
        self.findings: list[Finding] = []
        self.udp: Located | None = None  # where all UDP dies
        self.dns: tuple[int, int] = (0, 0)  # (answered, asked): the far end's own name server, over UDP
        self.gateway: Gateway | None = None
        self.asked: list[Asked] = []
        self.left_open: list[str] = []  # grids of which more calls might have told more, had there been time
        self.unserved: list[Protocol] = []  # what the far end does not serve, so that nothing was asked

    def take(self, said: Iterable[Said]) -> None:
        """Count calls."""
        for one in said:
            self.said.append(one)
            self.grids[one.call.protocol].add(one.call.known, one.call.twin, 0.0 if one.answered else 1.0)

    def play(self, streams: Iterable[Stream]) -> None:
        """Count streams. One that lasts has begun, too: what acts from the first packet on is seen in each of them."""
        for one in streams:
            self.streams.append(one)
            if one.lasting:
                self.grids["rtp_long"].add(one.plan.known, one.plan.twin, one.loss, one.failed)
                self.grids["rtp"].add(one.plan.known, one.plan.twin, one.beginning)
            else:
                self.grids["rtp"].add(one.plan.known, one.plan.twin, one.loss, one.failed)

    def used(self) -> list[Grid]:
        """Grids that were asked at all."""
        return [grid for grid in self.grids.values() if grid.failed()[1]]

    def real_cut(self, after: float = 0.0) -> bool:
        """Whether more real streams that last than twins were cut, none before it had lasted so many seconds."""
        cut = [one.plan.twin for one in self.streams
               if one.lasting and one.cut is not None and one.cut * one.plan.interval >= after]  # fmt: skip
        return cut.count(False) > cut.count(True)

    def datagrams(self) -> int:
        """Calls and streams over UDP that were made. Streams that last are among those that begin."""
        counted = [self.grids[protocol] for protocol in PROTOCOLS if protocol not in OVER_TCP]
        return sum(grid.failed()[1] for grid in counted)

    def working(self, side: Side) -> dict[str, bool]:
        """Endpoints of one side, and whether they ever answered."""
        found: dict[str, bool] = {}
        for one in self.asked:
            if one.part == side:
                name = str(one.endpoint)
                found[name] = found.get(name, False) or one.answered > 0
        return found

    def udp_dead(self) -> bool:
        """Whether not one datagram, of whatever kind, was answered, while connections are."""
        udp = [grid for grid in self.used() if grid.protocol not in OVER_TCP]
        tcp = [s for s in self.said if s.call.protocol in OVER_TCP and not s.call.known and s.call.twin]
        return bool(udp) and all(grid.dead for grid in udp) and any(s.answered for s in tcp)

    def controls(self, over_tcp: bool | None = None) -> tuple[tuple[int, int], tuple[int, int]]:
        """(answered, made) of twins to random ports, before and after; ``over_tcp`` None: of whatever kind."""

        def count(said: Iterable[Said]) -> tuple[int, int]:
            twins = [s for s in said if s.call.twin and not s.call.known
                     and over_tcp in (None, s.call.protocol in OVER_TCP)]  # fmt: skip
            return sum(s.answered for s in twins), len(twins)

        return count(self.said), count(self.after)

    def reply_ttl(self) -> int | None:
        """Highest TTL on arrival of the far end's packets: its shortest way back. None where none came."""
        ttls = [*(said.ttl for said in self.said), *(stream.ttl for stream in self.streams)]
        return max((ttl for ttl in ttls if ttl is not None), default=None)

    def round_trip(self) -> float:
        """Seconds of the slowest answer to a datagram at its first sending; 0.5 where there was none. (A connection may
        have lost its SYN, and a kernel that sends it again says nothing of it.)"""
        trips = [s.round_trip for s in self.said
                 if s.round_trip is not None and s.sendings == 1 and s.call.protocol not in OVER_TCP]  # fmt: skip
        return max(trips, default=0.5)

    def patience(self) -> float:
        """Seconds within which something on the way would have answered."""
        return min(2.0, max(0.4, 3 * self.round_trip()))


def protocol_of(grid: str) -> Protocol:
    """The protocol of a grid."""
    return next(p for p in PROTOCOLS if grid.partition("_long")[0] == p)
