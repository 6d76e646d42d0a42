"""What the protocol of a UDP trigger has heard so far, and the signs in it. `_udp.verdict` has the rules."""

from __future__ import annotations

import msgspec

from probe.measurements._judge import hops_away, is_home
from probe.measurements._locate import AGREE, Place, Shot
from probe.measurements._proof import (
    MARGIN,
    RARE,
    RARER,
    ahead,
    by_chance,
    came_farther,
    home_depth,
    proven_short,
    vanishes,
)
from probe.measurements._udp.triggers import Reaction, Trigger


class End(msgspec.Struct, frozen=True):
    """A far end that is asked. ``token``: a reflector's; ``ours``: it filters nobody, since it is our own."""

    address: str
    port: int
    token: bytes = b""
    ours: bool = False


class AtEnd:
    """Reactions at one far end, in the order in which they were asked for."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.before: list[Reaction] = []  # twins
        self.between: list[Reaction] = []
        self.after: list[Reaction] = []
        self.triggers: list[Reaction] = []

    @property
    def twins(self) -> list[Reaction]:
        """Every twin that can be compared with a trigger."""
        return [*self.before, *self.between, *self.after]

    @property
    def lives(self) -> bool:
        """Whether harmless datagrams are answered: half of those before, or more."""
        return 2 * sum(r.answered for r in self.before) >= len(self.before) > 0

    @property
    def failed(self) -> int:
        """Triggers without an answer."""
        return sum(not r.answered for r in self.triggers)

    @property
    def rejected(self) -> int:
        """Triggers that somebody rejected by ICMP; none if twins were rejected too."""
        return 0 if any(r.rejected for r in self.twins) else sum(r.rejected is not None for r in self.triggers)

    @property
    def chance(self) -> float:
        """How often chance lets triggers fail so often or more, if they fare like twins (Fisher's exact test)."""
        twins = self.twins
        return by_chance(self.failed, len(self.triggers), sum(not r.answered for r in twins), len(twins))

    @property
    def hit(self) -> bool:
        """Whether triggers fail here, beyond what chance explains."""
        return self.failed >= AGREE and self.chance < RARE


class Seen:
    """Everything, and where it happens."""

    def __init__(self, trigger: Trigger, twin: str, ends: list[End]) -> None:
        self.trigger, self.twin = trigger, twin
        self.ends = [AtEnd(end) for end in ends]
        self.apart = False  # triggers make the far end unreachable for a while: they are sent alone
        self.residual: list[float] = []  # seconds that a twin needed to be answered again after a trigger
        self.lasting = False  # … and it never was
        self.swept_at: AtEnd | None = None
        self.swept: list[Shot] = []
        self.twin_shots: list[Shot] = []
        self.routers: dict[int, str] = {}
        self.place: Place | None = None
        self.fresh: list[Shot] = []  # swept triggers that had no part in choosing the place, and …
        self.beyond: list[Reaction] = []  # … those at full TTL among them

    @property
    def live(self) -> list[AtEnd]:
        """The far ends that answer harmless datagrams."""
        return [one for one in self.ends if one.lives]

    @property
    def struck(self) -> list[AtEnd]:
        """The far ends at which triggers fail beyond chance."""
        return [one for one in self.live if one.hit]

    def suspicious(self) -> bool:
        """Whether anything calls for a sweep."""
        return any(one.failed >= AGREE and 2 * one.failed > len(one.triggers) for one in self.live) or bool(self.struck)

    def settled(self) -> bool:
        """Whether more trials would add nothing: every far end answers all triggers, or is struck by so much that a
        twin which gets lost afterwards changes nothing."""
        return all((one.hit and one.chance < RARE / 10) or not one.failed for one in self.live)

    def _answers(self) -> list[Reaction]:
        return [r for one in self.live for r in one.twins if r.answered]

    def round_trip(self) -> float:
        """Seconds of the fastest answer to a twin; 0.1 where there was none."""
        return min((r.after for r in self._answers() if r.after is not None), default=0.1)

    def patience(self) -> float:
        """Seconds to wait for an answer: three times the slowest twin's."""
        slowest = max((r.after for r in self._answers() if r.after is not None), default=0.5)
        return min(4.0, max(1.0, 3 * slowest))

    def near(self) -> float:
        """Seconds within which something on the path would have spoken."""
        return min(2.0, max(0.4, 5 * self.round_trip()))

    # -- where --------------------------------------------------------------------------------------------------

    def back(self) -> int:
        """Least number of routers from the swept far end to the probe, by the TTL of its answers."""
        one = self.swept_at
        answers = [r.ttl for r in one.twins if r.ttl is not None] if one is not None else []
        return min((hops_away(ttl) for ttl in answers), default=0)

    @property
    def arrives(self) -> int | None:
        """Lowest TTL at which a twin was answered; None where none was."""
        return min((s.ttl for s in self.twin_shots if s.elicited), default=None)

    def short_of_target(self) -> bool:
        """Whether triggers that can't have arrived draw an answer, and twins none."""
        twins = [(s.ttl, s.elicited) for s in self.twin_shots]
        return proven_short(self.swept, twins, self.arrives)

    def vanish(self) -> bool:
        """Whether routers behind the place quote twins, but no trigger, beyond what chance explains."""
        return vanishes(self.swept, self.twin_shots, self.place, self.arrives, AGREE)

    def ahead(self) -> bool:
        """Whether the place lies before the far end's own site; one link nearer where another far end is struck too."""
        margin = MARGIN - 1 if len(self.struck) > 1 else MARGIN
        return ahead(self.place, self.arrives, self.back(), margin)

    def depth(self) -> int:
        """Routers inside the home, as far as they can be told."""
        return home_depth(self.routers)

    def rejected_at_home(self) -> bool:
        """Whether a router of the home rejects triggers."""
        return any(r.rejected is not None and is_home(r.rejected) for one in self.ends for r in one.triggers)

    @property
    def last_quoted(self) -> int:
        """Highest TTL at which a router reported a dying trigger; 0 where none did."""
        return max((s.ttl for s in self.swept if s.expired_at is not None), default=0)

    def early_ttls(self) -> list[int]:
        """TTLs behind the home at which triggers are still reported, or twins are and triggers might be."""
        quoted = {s.ttl for s in (*self.swept, *self.twin_shots) if s.expired_at is not None}
        return sorted(ttl for ttl in quoted if self.depth() < ttl <= self.last_quoted)

    def struck_with_ours(self) -> bool:
        """Whether triggers vanish to two far ends, of which one is our own."""
        return len(self.struck) > 1 and any(one.end.ours for one in self.struck)

    def leave_home(self) -> bool:
        """Whether triggers come farther than the home, and only then vanish, beyond what chance explains.

        A filter of the home's that lets a share of them pass would be seen to lose as many of those that a router
        between it and the place should report. Counted are triggers that had no part in choosing the place. Of the late
        ones those count whose own router has shown itself: others may have died unseen. Of the early ones all: whoever
        blocks a flow for a while hides its router, so that only those that passed would be left.
        """
        depth, end, last = self.depth(), self.arrives or 256, self.last_quoted
        first = self.place.first_ttl if self.place is not None else end
        early = [s.expired_at is not None for s in self.fresh if depth < s.ttl <= last]
        behind = [s for s in self.fresh if first <= s.ttl < end]
        late = [s.expired_at is not None for s in behind if s.ttl in s.routers or s.expired_at is not None]
        return came_farther(early, late + [r.answered for r in self.beyond], RARER)
