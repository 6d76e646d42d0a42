"""What DNS queries have brought so far, and the signs in it. No verdicts: `_dns.verdict` has the rules."""

from __future__ import annotations

from probe.measurements._dns.queries import Reply, distinct
from probe.measurements._judge import hops_away, sooner
from probe.measurements._locate import Place, Shot
from probe.measurements._proof import MARGIN, acts_at_home, ahead, home_depth, proven_short, spared_by_luck, tally_below
from probe.model.baseline import Usual
from probe.model.finding import Tally, Target

_TTL_SLACK = 1  # return paths may differ by a hop


class Seen:
    """What has been heard, phase by phase; each trial is the list of answers to one query."""

    def __init__(self, name: str, resolver: str, silent: str, control_name: str, group: str) -> None:
        self.target = Target(input=name, name=name, address=resolver or silent, port=53, group=group)
        self.resolver, self.silent, self.control_name = resolver, silent, control_name
        self.resolver_controls: list[list[list[Reply]]] = []  # phases of queries of answers
        self.silent_controls: list[list[Reply]] = []
        self.resolver_trials: list[list[Reply]] = []
        self.silent_trials: list[list[Reply]] = []
        self.full: list[Shot] = []
        self.full_silent: list[Shot] = []
        self.short: list[tuple[bool, bool]] = []  # at TTLs just short of the resolver: (name, harmless name) answered
        self.swept: list[Shot] = []
        self.swept_replies: list[list[Reply]] = []
        self.swept_twins: list[tuple[int, bool]] = []  # (TTL, answered) of the harmless name
        self.routers: dict[int, str] = {}
        self.at_silent = False
        self.place: Place | None = None
        self.usual = Usual()  # what was known of the resolver before

    def _control_answers(self) -> list[Reply]:
        return [reply for phase in self.resolver_controls for answers in phase for reply in answers]

    def usual_ttls(self) -> tuple[int, int] | None:
        """Least and greatest IP TTL of the resolver's answers to the harmless name: the line's own jitter."""
        found = [reply.ttl for reply in self._control_answers()]
        return (min(found), max(found)) if found else None

    def _like(self, ttl: int, usual: tuple[int, int]) -> bool:
        """Whether an answer comes from as far as the controls', or as answers did in earlier runs."""
        known = [usual, *((past, past) for past in self.usual.usual_ttls)]
        return any(low - _TTL_SLACK <= ttl <= high + _TTL_SLACK for low, high in known)

    def round_trip(self) -> float:
        """Seconds of the fastest answer to the harmless name; 0.1 where there was none."""
        return min((reply.after for reply in self._control_answers()), default=0.1)

    def odd(self, reply: Reply) -> bool:
        """Whether physics says that another machine answered: a TTL unlike the resolver's, or too soon for its
        distance."""
        usual = self.usual_ttls()
        if usual is None:
            return False
        return not self._like(reply.ttl, usual) or sooner(reply.after, self.usual.fastest(self.round_trip()))

    def odd_full(self) -> list[Shot]:
        """The odd answers of the trials at full TTL, as shots."""
        shots: list[Shot] = []
        for shot, trial in zip(self.full, self.resolver_trials, strict=True):
            shots += [Shot(shot.ttl, True, reply.ttl) for reply in trial if self.odd(reply)][:1]
        return shots

    def from_silent(self) -> int:
        """Trials in which the address without a resolver answered."""
        return sum(bool(trial) for trial in self.silent_trials)

    def _conflict(self, trial: list[Reply]) -> bool:
        return len(distinct([r for r in trial if not r.truncated])) > 1

    def conflicting(self) -> int:
        """Trials in which one query got answers that differ, truncated ones left out."""
        return sum(self._conflict(trial) for trial in self.resolver_trials)

    def conflicting_and_odd(self) -> int:
        """… and come from different distances: a resolver that answers a doubled query twice is as far away each
        time."""
        return sum(self._conflict(trial) and self._apart(trial) for trial in self.resolver_trials)

    def _apart(self, trial: list[Reply]) -> bool:
        usual = self.usual_ttls()
        slack = _TTL_SLACK + (usual[1] - usual[0] if usual else 0)
        different = distinct([r for r in trial if not r.truncated])
        return max(r.ttl for r in different) - min(r.ttl for r in different) > slack

    def odd_answers(self) -> int:
        """Trials in which the resolver seemed to give a physically odd answer."""
        return sum(any(self.odd(r) for r in trial) for trial in self.resolver_trials)

    def lateness(self) -> float:
        """Seconds that forged answers took, at the most; 0 where none was seen."""
        forged = [r for trial in self.silent_trials for r in trial[:1]] if self.from_silent() else []
        forged += [r for trial in self.resolver_trials for r in trial if self.odd(r)]
        return max((r.after for r in forged), default=0.0)

    def struck(self, need: int) -> bool:
        """Whether queries that may travel all the way got forged answers, or such that look like it."""
        return max(self.from_silent(), self.odd_answers()) >= need

    def short_only(self) -> int:
        """Queries that fell short of the resolver and were answered all the same, unlike their harmless twins."""
        return sum(name and not harmless for name, harmless in self.short)

    def suspicious(self) -> bool:
        """Whether anything calls for a sweep."""
        next_door = (usual := self.usual_ttls()) is not None and hops_away(usual[0]) == 0
        return bool(next_door or self.from_silent() or self.conflicting() or self.odd_answers() or self.short_only())

    def settled(self, need: int) -> bool:
        """Whether more trials would add nothing: none or enough of them show each sign, and none or enough of them were
        answered at all (answers get lost)."""
        answered = sum(bool(trial) for trial in self.resolver_trials)
        return all(
            count == 0 or count >= need
            for count in (self.from_silent(), self.conflicting(), self.odd_answers(), answered)
        )

    @property
    def arrives(self) -> int | None:
        """Lowest TTL at which the harmless name was answered; None where it never was in the sweep."""
        return min((ttl for ttl, answered in self.swept_twins if answered), default=None)

    def telling(self) -> list[Shot]:
        """The sweep's shots, those left out that the resolver itself may have answered like any other."""
        limit = 256 if self.at_silent else self.arrives if self.arrives is not None else 256
        return [
            shot
            for shot, answers in zip(self.swept, self.swept_replies, strict=True)
            if shot.ttl < limit or not shot.elicited or any(self.odd(r) for r in answers)
        ]

    def below(self) -> tuple[int, int]:
        """Sweep probes that reach neither resolver nor silent address: how many were answered, of how many tried."""
        shots = [(s.ttl, s.elicited) for s in self.swept]
        return tally_below(shots, 256 if self.at_silent else self.arrives)

    def short_of_resolver(self) -> bool:
        """Whether physics puts the forger before the resolver: queries that can't arrive draw it, or it copies TTLs."""
        usual = self.usual_ttls()
        if self.at_silent or self.place is None or usual is None:
            return False
        if not ahead(self.place, self.arrives, hops_away(usual[1])):
            return False
        return self.place.mirrored or self.proven()

    def proven(self) -> bool:
        """Whether queries were answered that can't have reached the resolver."""
        return not self.at_silent and proven_short(self.swept, self.swept_twins, self.arrives)

    def home_answers(self) -> bool:
        """Whether it is, or may be, the home's own router that answers."""
        arrives = self.arrives
        if arrives is not None and arrives <= home_depth(self.routers):
            return True
        unplaced = [*self.full_silent, *self.odd_full()] if self.place is None else []
        return acts_at_home([*self.telling(), *unplaced], self.place, self.routers, back=self._back())

    def spared_by_luck(self) -> bool:
        """Whether somebody in the home could have let all queries pass that die early, by chance."""
        return spared_by_luck(self.telling(), self.place, self.routers, self._back())

    def _back(self) -> int | None:
        usual = self.usual_ttls()
        return hops_away(usual[1]) if usual is not None else None

    def farther(self) -> bool:
        """Whether harmless packets to the same address die on a router behind the place, so that it is not the address
        itself that answers there; and it is not the home's own router either."""
        place = self.place
        if place is None or (place.clean_ttl <= home_depth(self.routers) and place.first_ttl not in self.routers):
            return False
        return any(ttl > place.first_ttl for ttl in self.routers)

    def before_silent(self) -> bool:
        """Whether the place lies before the silent address's own site: as far as routers on the way there show, or,
        where none outside the home does, as far as the resolver is."""
        farthest = max([*self.routers, *(s.ttl for s in self.swept if s.expired_at is not None)], default=0)
        if farthest <= home_depth(self.routers):
            farthest = hops_away(usual[1]) if (usual := self.usual_ttls()) is not None else 0
        return self.place is not None and self.place.first_ttl + MARGIN <= farthest + 1

    def controls(self) -> Tally:
        """Harmless queries made, and those that went as they should."""
        good = sum(bool(answers) for phase in self.resolver_controls for answers in phase)
        made = sum(len(phase) for phase in self.resolver_controls)
        quiet = sum(not answers for answers in self.silent_controls)
        return Tally(made + len(self.silent_controls), good + quiet)
