"""What a TCP trigger's protocol has heard so far, and the signs in it. No verdicts: `_tcp.verdict` has the rules."""

from __future__ import annotations

from probe.measurements._judge import hops_away, sooner
from probe.measurements._locate import AGREE, Place, Shot
from probe.measurements._proof import (
    MARGIN,
    RARE,
    RARER,
    ahead,
    came_farther,
    home_depth,
    may_be_home,
    proven_short,
    spared_by_luck,
    tally_below,
    vanishes,
)
from probe.measurements._tcp.triggers import Reaction, Segment, Trigger
from probe.model.baseline import Usual

_TTL_SLACK = 1  # beyond the line's own jitter


class Seen:
    """Reactions, by what was sent."""

    def __init__(self, trigger: Trigger, address: str, twin: str, control: str) -> None:
        self.trigger, self.address, self.twin, self.control = trigger, address, twin, control
        self.before: list[Reaction] = []  # harmless twin, target
        self.between: list[Reaction] = []
        self.after: list[Reaction] = []
        self.trials: list[Reaction] = []  # trigger, target
        self.full: list[Shot] = []
        self.control_trials: list[Reaction] = []  # trigger, our own server
        self.control_twins: list[Reaction] = []
        self.short: list[tuple[int, Reaction, Reaction]] = []  # (TTL, trigger, twin), just short of the target
        self.routers: dict[int, str] = {}
        self.swept: list[Shot] = []
        self.swept_reactions: list[tuple[int, Reaction]] = []
        self.swept_twins: list[tuple[int, Reaction]] = []
        self.twin_shots: list[Shot] = []
        self.place: Place | None = None
        self.fresh: list[tuple[Shot, Reaction]] = []  # swept triggers that had no part in choosing the place, and …
        self.beyond: list[Reaction] = []  # … those at full TTL to our own server, among them
        self.residual: list[float] = []  # seconds that the twin needed to work again after a trigger
        self.waited = 0.0  # seconds in all
        self.lasting = False  # … and it never did
        self.burst: list[Reaction] = []  # harmless twins, as many at once as a round of trials
        self.usual = Usual()  # what was known of the target before

    # -- the line's own measure ---------------------------------------------------------------------------------

    def twins(self) -> list[Reaction]:
        """Every harmless twin to the target at full TTL."""
        return [*self.before, *self.between, *self.after]

    def _opened(self) -> list[Reaction]:
        return [r for r in (*self.before, *self.between, *self.trials) if r.synack_ttl is not None]

    def least_synack_ttl(self) -> int:
        """Least IP TTL of a SYN-ACK from the target; 64 where there was none."""
        return min((r.synack_ttl for r in self._opened() if r.synack_ttl is not None), default=64)

    def round_trip(self) -> float:
        """Seconds of the fastest handshake with the target; 0.1 where there was none."""
        return min((r.round_trip for r in self._opened() if r.round_trip is not None), default=0.1)

    def jitter(self) -> int:
        """How far the TTL of the target's own data strays from its SYN-ACK's, by the harmless twins; or those of its
        SYN-ACKs from each other, in earlier runs."""
        past = self.usual.usual_ttls
        now = [abs(d.ttl - r.synack_ttl) for r in self.before if r.synack_ttl is not None for d in r.data]
        return max([*now, past[-1] - past[0] if past else 0])

    def near(self) -> float:
        """Seconds within which something on the path would have answered: some round trips, and longer than whoever cut
        the trials, or spoke in them from elsewhere, took."""
        acted = [r for r in self.trials if r.cut or self.odd_data(r)]
        latest = max((s.after for r in acted for s in (*r.resets, *r.fins, *r.data)), default=0.0)
        return max(min(2.0, max(0.3, 5 * self.round_trip())), min(4.0, 1.5 * latest))

    def linger(self) -> float:
        """Seconds to go on listening after a first event: long enough for the real answer behind a forged one."""
        return min(1.0, 0.05 + 2 * self.round_trip())

    def patience(self) -> float:
        """Seconds to wait for the target's answer: three times the slowest twin, and three of TCP's retransmissions."""
        slowest = max((d.after for r in self.before for d in r.data[:1]), default=0.0)
        return min(6.0, max(1.5, 3 * slowest, self.usual.patience))

    # -- signs ------------------------------------------------------------------------------------------------

    def unlike(self, reaction: Reaction, segment: Segment) -> bool:
        """Whether a segment's TTL is not that of the machine that opened the flow."""
        if reaction.synack_ttl is None:
            return False
        return abs(segment.ttl - reaction.synack_ttl) > self.jitter() + _TTL_SLACK

    def cut(self) -> int:
        """Trials cut by a reset or FIN that is not the server's own."""
        return sum(r.cut for r in self.trials)

    def silent(self) -> int:
        """Trials in which the trigger vanished: no word, no acknowledgement."""
        return sum(r.silent for r in self.trials)

    def unopened(self) -> int:
        """Trials whose connection was never opened, so that no trigger was sent."""
        return sum(not r.opened for r in self.trials)

    def shuts_out_many(self, need: int) -> bool:
        """Whether many harmless connections at once are refused as well: it is their number, not what they name."""
        return sum(not r.worked for r in self.burst) >= need

    def vanishing(self) -> bool:
        """Whether triggers vanish rather than are cut."""
        return self.silent() >= self.cut() and self.silent() > 0

    def spoke(self) -> int:
        """Trials in which the server's side spoke and nothing cut it."""
        return sum(r.worked for r in self.trials)

    def odd_data(self, reaction: Reaction) -> bool:
        """Data from another distance than the SYN-ACK, or two different contents for one stretch of the stream."""
        return any(self.unlike(reaction, d) for d in reaction.data) or contradicts_itself(reaction)

    def odd_spoken(self) -> int:
        """Trials with such data."""
        return sum(self.odd_data(r) for r in self.trials)

    def short_only(self) -> int:
        """Triggers that fell short of the target and drew an answer all the same, unlike their twins."""
        return sum(trigger.elicited and not twin.elicited for _, trigger, twin in self.short)

    def contradictions(self) -> dict[str, int]:
        """How many cut trials show each physical contradiction (Weaver et al., NDSS 2009)."""
        found = dict.fromkeys(("ttl_unlike", "sooner_than_round_trip", "data_behind_reset", "stepped_sequences"), 0)
        for r in self.trials:
            if not r.cut:
                continue
            closing = (*r.resets, *r.fins)
            found["ttl_unlike"] += any(self.unlike(r, s) for s in closing)
            found["sooner_than_round_trip"] += any(
                sooner(s.after, self.usual.fastest(self.round_trip())) for s in closing
            )
            found["data_behind_reset"] += data_behind_reset(r)
            found["stepped_sequences"] += len({s.sequence for s in r.resets}) >= 2
        return found

    def suspicious(self) -> bool:
        """Whether anything calls for a sweep."""
        return bool(self.cut() or self.silent() or self.odd_spoken() or self.short_only())

    def settled(self, need: int) -> bool:
        """Whether more trials would add nothing: enough triggers were sent, none or enough of them show each sign."""
        if len(self.trials) - self.unopened() < need:
            return False
        counts = (self.cut(), self.silent(), self.odd_spoken())
        return all(count == 0 for count in counts) or any(count >= need for count in counts)

    def odd_full(self) -> list[Shot]:
        """Trials at full TTL whose first event is not the target's, as shots (they tell a box that copies TTLs)."""
        return [
            shot
            for shot, r in zip(self.full, self.trials, strict=True)
            if shot.elicited and (r.cut or self.odd_data(r))
        ]

    # -- where --------------------------------------------------------------------------------------------------

    @property
    def arrives(self) -> int | None:
        """Lowest TTL at which a harmless twin reached the target; None where none was seen to."""
        twins = [*self.swept_twins, *((ttl, twin) for ttl, _, twin in self.short)]
        return min((ttl for ttl, r in twins if r.data or r.acknowledged), default=None)

    def telling(self) -> list[Shot]:
        """The sweep's shots, those left out that the target itself may have answered like any other."""
        limit = self.arrives if self.arrives is not None else 256
        return [
            s
            for s, (_, r) in zip(self.swept, self.swept_reactions, strict=True)
            if s.ttl < limit or not s.elicited or r.cut or self.odd_data(r)
        ]

    def control_hits(self, sign: str) -> int:
        """Trials at our own server, whose harmless twins worked, that show a sign: the target has no part in it."""
        if not any(t.worked for t in self.control_twins) or any(getattr(t, sign) for t in self.control_twins):
            return 0
        return sum(bool(getattr(r, sign)) for r in self.control_trials)

    def ahead(self, sign: str, need: int) -> bool:
        """Whether the place lies before the target's own site; one link nearer where our own server is hit as well."""
        margin = MARGIN - 1 if self.control_hits(sign) >= need else MARGIN
        return ahead(self.place, self.arrives, self.back(), margin)

    def short_of_target(self) -> bool:
        """Whether physics puts the actor before the target: triggers that can't arrive draw it, or it copies TTLs."""
        if self.place is not None and self.place.mirrored:
            return True
        twins = [(ttl, r.elicited) for ttl, r in self.swept_twins]
        return bool(self.below()) and proven_short(self.swept, twins, self.arrives)

    def vanishes(self, need: int) -> bool:
        """Whether routers behind the place quote twins, but no trigger, beyond what chance explains."""
        return vanishes(self.swept, self.twin_shots, self.place, self.arrives, need)

    @property
    def last_quoted(self) -> int:
        """Highest TTL at which a router reported a dying trigger; 0 where none did."""
        return max((s.ttl for s in self.swept if s.expired_at is not None), default=0)

    def early_ttls(self) -> list[int]:
        """TTLs behind the home at which triggers are still reported, or twins are and triggers might be."""
        quoted = {s.ttl for s in (*self.swept, *self.twin_shots) if s.expired_at is not None}
        return sorted(ttl for ttl in quoted if home_depth(self.routers) < ttl <= self.last_quoted)

    def spared_by_luck(self) -> bool:
        """Whether somebody in the home could have let all triggers pass that die early, by chance."""
        return spared_by_luck(self.telling(), self.place, self.routers, self.back())

    def back(self) -> int:
        """Least number of routers from the target to the probe, by the TTL of its SYN-ACKs."""
        return hops_away(max((r.synack_ttl for r in self._opened() if r.synack_ttl is not None), default=64))

    def acts_far(self, sign: str) -> bool:
        """Whether triggers that go all the way, to the target or to our own server, show a sign, and those that leave
        the home and die early do not, beyond what chance explains; or the resets' own TTLs, all alike and unlike the
        target's, tell that they come from outside."""
        depth, end = may_be_home(self.routers), self.arrives or 256
        first = self.place.first_ttl if self.place is not None else end
        closing = [s for r in self.trials if r.cut for s in (*r.resets, *r.fins)[:1]]
        counts = [hops_away(s.ttl) for s in closing]
        if self.contradictions()["ttl_unlike"] >= AGREE and max(counts) - min(counts) <= 1 and min(counts) > depth + 1:
            return True
        full = [bool(getattr(r, sign)) for r in (*self.trials, *self.control_trials)]
        early = [s.elicited for s in self.swept if depth < s.ttl < first]
        return came_farther(full, early, RARE)

    def leave_home(self) -> bool:
        """Whether triggers come farther than the home, and only then vanish, beyond what chance explains.

        Counted are flows whose own router had shown itself before the trigger; far more must agree where it could not
        (whoever blocks all for a while hides it).
        """
        end, last = self.arrives or 256, self.last_quoted
        first = self.place.first_ttl if self.place is not None else end
        depth = home_depth(self.routers)
        for rare, alone in ((RARE / 10, True), (RARER, False)):
            own = [(s, r) for s, r in self.fresh if not alone or s.ttl in s.routers]
            early = [s.expired_at is not None for s, _ in own if depth < s.ttl <= last]
            late = [not r.silent for s, r in own if first <= s.ttl < end]
            late += [not r.silent for r in self.beyond]
            if came_farther(early, late, rare):
                return True
        return False

    def below(self) -> list[Reaction]:
        """Reactions of the sweep to triggers that can't have reached the target; none if twins drew any too."""
        arrives = self.arrives
        if arrives is None or any(r.elicited for ttl, r in self.swept_twins if ttl < arrives):
            return []
        return [r for ttl, r in self.swept_reactions if ttl < arrives and r.elicited]

    def tried_below(self) -> int:
        """Triggers of the sweep that may have reached who answers them, but not the target."""
        return tally_below([(ttl, r.elicited) for ttl, r in self.swept_reactions if r.sent], self.arrives)[1]


def contradicts_itself(reaction: Reaction) -> bool:
    """Two segments that give different bytes for one sequence number: no TCP does that (RFC 9293)."""
    data = reaction.data
    for i, one in enumerate(data):
        for other in data[i + 1 :]:
            offset = (other.sequence - one.sequence + (1 << 31)) % (1 << 32) - (1 << 31)
            mine = one.payload[max(0, offset) :]
            theirs = other.payload[max(0, -offset) :]
            n = min(len(mine), len(theirs))
            if n > 0 and mine[:n] != theirs[:n]:
                return True
    return False


def data_behind_reset(reaction: Reaction) -> bool:
    """Data at or behind the sequence number of a reset or FIN, after it: a host that closes sends nothing further."""
    for closing in (*reaction.resets, *reaction.fins):
        for data in reaction.data:
            ahead = (data.sequence - closing.end) % (1 << 32)
            if data.after > closing.after and ahead < 1 << 31:
                return True
    return False
