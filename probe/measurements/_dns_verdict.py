"""What DNS answers add up to: the rules of `dns_injection`, apart from the asking."""

from __future__ import annotations

from typing import Any

from probe.measurements._dns import Reply, distinct
from probe.measurements._judge import confidence, hops_away, is_home, milliseconds, plural, sooner
from probe.measurements._locate import Place, Shot
from probe.measurements._proof import acts_at_home, ahead, home_depth, proven_short
from probe.model.finding import Interference, Judgement, Tally, Target, Technique

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

    def _control_answers(self) -> list[Reply]:
        return [reply for phase in self.resolver_controls for answers in phase for reply in answers]

    def usual_ttls(self) -> tuple[int, int] | None:
        """Least and greatest IP TTL of the resolver's answers to the harmless name: the line's own jitter."""
        found = [reply.ttl for reply in self._control_answers()]
        return (min(found), max(found)) if found else None

    def round_trip(self) -> float:
        """Seconds of the fastest answer to the harmless name; 0.1 where there was none."""
        return min((reply.after for reply in self._control_answers()), default=0.1)

    def odd(self, reply: Reply) -> bool:
        """Whether physics says that another machine answered: a TTL unlike the resolver's, or sooner than its "
        "distance."""
        usual = self.usual_ttls()
        if usual is None:
            return False
        like = usual[0] - _TTL_SLACK <= reply.ttl <= usual[1] + _TTL_SLACK
        return not like or sooner(reply.after, self.round_trip())

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
        """… and come from different distances: a resolver that answers a doubled query twice is as far away each "
        "time."""
        return sum(self._conflict(trial) and self._apart(trial) for trial in self.resolver_trials)

    def _apart(self, trial: list[Reply]) -> bool:
        usual = self.usual_ttls()
        slack = _TTL_SLACK + (usual[1] - usual[0] if usual else 0)
        different = distinct([r for r in trial if not r.truncated])
        return max(r.ttl for r in different) - min(r.ttl for r in different) > slack

    def odd_answers(self) -> int:
        """Trials in which the resolver seemed to give a physically odd answer."""
        return sum(any(self.odd(r) for r in trial) for trial in self.resolver_trials)

    def short_only(self) -> int:
        """Queries that fell short of the resolver and were answered all the same, unlike their harmless twins."""
        return sum(name and not harmless for name, harmless in self.short)

    def suspicious(self) -> bool:
        """Whether anything calls for a sweep."""
        next_door = (usual := self.usual_ttls()) is not None and hops_away(usual[0]) == 0
        return bool(next_door or self.from_silent() or self.conflicting() or self.odd_answers() or self.short_only())

    def settled(self, need: int) -> bool:
        """Whether more trials would add nothing: none or enough of them show each sign."""
        return all(
            count == 0 or count >= need for count in (self.from_silent(), self.conflicting(), self.odd_answers())
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

    def below(self) -> int:
        """Sweep probes answered at a TTL that reaches neither resolver nor silent address."""
        limit = 256 if self.at_silent else (self.arrives or 0)
        return sum(s.elicited and s.ttl < limit for s in self.swept)

    def tried_below(self) -> int:
        """Sweep probes with a TTL that was answered once, or a greater one, that reaches neither."""
        limit = 256 if self.at_silent else (self.arrives or 0)
        first = min((s.ttl for s in self.swept if s.elicited), default=256)
        return sum(first <= s.ttl < limit for s in self.swept)

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
        return acts_at_home(self.telling(), self.place, self.routers)

    def farther(self) -> bool:
        """Whether harmless packets to the same address die on a router behind the place, so that it is not the address
        itself that answers there; and it is not the home's own router either."""
        place = self.place
        if place is None or (place.clean_ttl <= home_depth(self.routers) and place.first_ttl not in self.routers):
            return False
        return any(ttl > place.first_ttl for ttl in self.routers)

    def controls(self) -> Tally:
        """Harmless queries made, and those that went as they should."""
        good = sum(bool(answers) for phase in self.resolver_controls for answers in phase)
        made = sum(len(phase) for phase in self.resolver_controls)
        quiet = sum(not answers for answers in self.silent_controls)
        return Tally(made + len(self.silent_controls), good + quiet)


def judge(seen: Seen, need: int) -> Judgement:
    """Apply the rules, first match first; `docs/measurements/dns_injection.md` explains each by its name."""
    failed = [i for i, phase in enumerate(seen.resolver_controls) if not any(phase)]
    silent_answers = sum(bool(a) for a in seen.silent_controls)
    if seen.swept and seen.home_answers():
        return _say(
            seen, "home-router-answers", "inconclusive",
            "Something inside the home answers DNS queries in place of whoever is asked, or so near to it that the "
            "home's "
            "own router can't be told from the operator's first one.",
        )  # fmt: skip
    if silent_answers and seen.from_silent():
        return _answers_everything(seen, silent_answers, need)
    if failed:
        when = "before" if failed[0] == 0 else "after"
        return _say(
            seen, "control-failed", "inconclusive",
            f"The resolver {seen.resolver} did not answer for the harmless name {seen.control_name} {when} the test: "
            "the line or the resolver has a problem of its own.",
        )  # fmt: skip
    if seen.from_silent() >= need:
        return _interfered(
            seen, "answer-from-silent-address", "dns_injection", seen.from_silent(), len(seen.silent_trials)
        )
    if seen.short_of_resolver():
        if seen.proven():
            return _interfered(seen, "answer-below-resolver", "dns_injection", seen.below(), seen.tried_below())
        if seen.conflicting_and_odd() >= need:
            agreed, made = seen.conflicting_and_odd(), len(seen.resolver_trials)
            return _interfered(seen, "two-answers-on-one-flow", "dns_injection", agreed, made)
        if seen.odd_answers() >= need:
            agreed, made = seen.odd_answers(), len(seen.resolver_trials)
            return _interfered(seen, "answer-with-copied-ttl", "dns_injection", agreed, made)
    return _nothing_proven(seen, need)


def _answers_everything(seen: Seen, silent_answers: int, need: int) -> Judgement:
    """The silent address answers the harmless name too: somebody answers in place of whoever is asked."""
    if seen.from_silent() >= need and silent_answers >= need and seen.farther():
        return _interfered(
            seen, "silent-address-answers-everything", "dns_redirect", seen.from_silent(), len(seen.silent_trials)
        )
    return _say(
        seen, "silent-address-answers", "inconclusive",
        f"The address {seen.silent}, which should run no resolver, answers for harmless names as well: either it does "
        "run one, or something near the probe answers for it.",
    )  # fmt: skip


def _nothing_proven(seen: Seen, need: int) -> Judgement:
    signs = max(seen.from_silent(), seen.conflicting(), seen.odd_answers(), min(1, seen.short_only()))
    answered = sum(bool(trial) for trial in seen.resolver_trials)
    if signs == 0 and (answered >= need or not seen.resolver):
        made = len(seen.resolver_trials) + len(seen.silent_trials)
        quiet = len(seen.silent_trials) - seen.from_silent()
        sentences = []
        if seen.resolver:
            sentences.append(
                f"The resolver {seen.resolver} answered {seen.target.name} in {answered} of "
                f"{plural(len(seen.resolver_trials), 'trial')}, each time with one answer only, which came from as "
                f"far as its "
                "answers for harmless names."
            )
        if seen.silent:
            sentences.append(
                f"The silent address {seen.silent} stayed silent in {quiet} of "
                f"{plural(len(seen.silent_trials), 'trial')}."
            )
        return _say(seen, "clean", "clean", *sentences, agreed=answered + quiet, made=made)
    if answered < need and seen.resolver and signs == 0:
        return _say(
            seen, "no-answer", "inconclusive",
            f"The resolver answered harmless names, but {seen.target.name} in only {answered} of "
            f"{plural(len(seen.resolver_trials), 'trial')}: queries for it may be dropped, or lost.",
        )  # fmt: skip
    return _say(
        seen, "too-little-evidence", "inconclusive",
        f"Something looked odd in {plural(signs, 'trial')}, but nothing contradicts that the asked resolver itself "
        f"answered: {need} agreeing trials with physical evidence are needed.",
        agreed=signs, made=len(seen.resolver_trials) + len(seen.silent_trials),
    )  # fmt: skip


def _interfered(seen: Seen, rule: str, technique: Technique, agreed: int, made: int) -> Judgement:
    place = seen.place
    controls = seen.controls()
    reasons = [
        _SENTENCES[rule].format(
            name=seen.target.name, agreed=agreed, made=made, silent=seen.silent, resolver=seen.resolver
        )
    ]
    example = next(
        (r for t in (*seen.silent_trials, *seen.resolver_trials) for r in t if seen.odd(r) or t in seen.silent_trials),
        None,
    )
    usual = seen.usual_ttls()
    if example is not None and usual is not None:
        reasons.append(
            f"A forged answer came after {milliseconds(example.after)} with IP TTL {example.ttl}; the resolver's own "
            f"take at least "
            f"{milliseconds(seen.round_trip())} and arrive with IP TTL {usual[0]} to {usual[1]}."
        )
    reasons.append(
        f"{controls.agreed} of "
        f"{plural(controls.made, 'control query') if controls.made == 1 else f'{controls.made} control queries'} "
        "went as they should, before and after."
    )
    if place is not None:
        reasons.append(_where(place))
    return Judgement(
        verdict="interfered",
        rule=f"dns_injection/{rule}",
        target=seen.target,
        interference=Interference(
            technique, place.placement if place else "unknown", place.location() if place else None
        ),
        trials=Tally(made, agreed),
        controls=controls,
        confidence=confidence((agreed, made), (controls.agreed, controls.made), (seen.below(), seen.tried_below())),
        reasons=reasons,
        details=_details(seen),
    )


_SENTENCES = {
    "answer-from-silent-address": (
        "Asked for {name}, the address {silent}, which runs no resolver, seemed to answer in {agreed} of {made} "
        "trials; for harmless names it stayed silent: somebody on the way forges answers for this name."
    ),
    "answer-below-resolver": (
        "Queries for {name} that were limited to die before they could reach the resolver {resolver} were answered all "
        "the same; queries for a harmless name were not: somebody on the way forges answers for this name."
    ),
    "two-answers-on-one-flow": (
        "In {agreed} of {made} trials one single query for {name} got two different answers, one of which did not come "
        "from as far away as the resolver {resolver}: it is forged."
    ),
    "answer-with-copied-ttl": (
        "In {agreed} of {made} trials the answer for {name} bore an IP TTL that follows the query's own, and so tells "
        "that it comes from well before the resolver {resolver}: it is forged."
    ),
    "silent-address-answers-everything": (
        "The address {silent}, which runs no resolver, answered every name in {agreed} of {made} trials, from beyond "
        "the home router: somebody on the way answers in place of the resolver that was asked."
    ),
}


def _where(place: Place) -> str:
    how = (
        "computed from the TTL that the forged answers copy from the query"
        if place.mirrored
        else f"lowest TTL that is answered, in {place.agreeing} of {plural(place.sweeps, 'sweep')}"
    )
    real = {
        "on_path": " The query travels on: the forger listens beside the path.",
        "in_path": " The query does not travel on: the forger sits in the path.",
    }.get(place.placement, "")
    return f"It happens {place.location().attribution} ({how}).{real}"


def _say(
    seen: Seen, rule: str, verdict: str, *reasons: str, agreed: int | None = None, made: int | None = None
) -> Judgement:
    controls = seen.controls()
    all_made = len(seen.resolver_trials) + len(seen.silent_trials)
    trials = Tally(all_made if made is None else made, 0 if agreed is None else agreed)
    return Judgement(
        verdict="clean" if verdict == "clean" else "inconclusive",
        rule=f"dns_injection/{rule}",
        target=seen.target,
        trials=trials,
        controls=controls,
        confidence=confidence((trials.agreed, trials.made), (controls.agreed, controls.made))
        if verdict == "clean"
        else 0.0,
        reasons=list(reasons),
        details=_details(seen),
    )


def _details(seen: Seen) -> dict[str, Any]:
    return {
        "resolver": seen.resolver,
        "silent": seen.silent,
        "control_name": seen.control_name,
        "resolver_trials": [[r.show() for r in trial] for trial in seen.resolver_trials],
        "silent_trials": [[r.show() for r in trial] for trial in seen.silent_trials],
        "control_ttls": list(seen.usual_ttls() or ()),
        "control_round_trip_ms": round(seen.round_trip() * 1000, 3),
        "arrives_at_ttl": seen.arrives,
        "path": [{"ttl": t, "address": "" if is_home(a) else a} for t, a in sorted(seen.routers.items())],
        "sweep": [
            {"ttl": s.ttl, "answered": s.elicited, "reply_ttl": s.reply_ttl, "expired": s.expired_at is not None}
            for s in seen.swept
        ],
    }
