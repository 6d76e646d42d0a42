"""What DNS answers add up to: the rules of `dns_injection`, apart from the asking."""

from __future__ import annotations

from typing import Any

from probe.measurements._dns.seen import Seen
from probe.measurements._judge import confidence, is_home, milliseconds, plural
from probe.measurements._locate import Place
from probe.model.finding import Interference, Judgement, Tally


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
    if seen.from_silent() >= need and not seen.before_silent():
        return _say(
            seen, "answer-near-silent-address", "inconclusive",
            f"Asked for {seen.target.name}, the address {seen.silent}, which runs no resolver, seemed to answer in "
            f"{seen.from_silent()} of {plural(len(seen.silent_trials), 'trial')}; but nothing shows that it was not "
            "done in that address's own network.",
            agreed=seen.from_silent(), made=len(seen.silent_trials),
        )  # fmt: skip
    if seen.from_silent() >= need:
        return _interfered(seen, "answer-from-silent-address", seen.from_silent(), len(seen.silent_trials))
    if seen.short_of_resolver():
        if seen.proven():
            return _interfered(seen, "answer-below-resolver", *seen.below())
        if seen.conflicting_and_odd() >= need:
            agreed, made = seen.conflicting_and_odd(), len(seen.resolver_trials)
            return _interfered(seen, "two-answers-on-one-flow", agreed, made)
        if seen.odd_answers() >= need:
            agreed, made = seen.odd_answers(), len(seen.resolver_trials)
            return _interfered(seen, "answer-with-copied-ttl", agreed, made)
    return _nothing_proven(seen, need)


def _answers_everything(seen: Seen, silent_answers: int, need: int) -> Judgement:
    """The silent address answers the harmless name too: somebody answers in place of whoever is asked."""
    if seen.from_silent() >= need and silent_answers >= need and seen.farther():
        # A home router that sends all queries to a resolver elsewhere looks just like an operator that does.
        return _say(
            seen, "silent-address-answers-everything", "inconclusive",
            f"The address {seen.silent}, which runs no resolver, answered every name in {seen.from_silent()} of "
            f"{plural(len(seen.silent_trials), 'trial')}, from beyond the home router: queries are answered by "
            "somebody else than was asked. That may be the home router's own setting; `colibri measure dns-resolver` "
            "with a reflector can tell.",
        )  # fmt: skip
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


def _interfered(seen: Seen, rule: str, agreed: int, made: int) -> Judgement:
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
            f"{milliseconds(seen.round_trip())} and arrive with IP TTL {_range(*usual)}."
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
            "dns_injection", place.placement if place else "unknown", place.location() if place else None
        ),
        trials=Tally(made, agreed),
        controls=controls,
        confidence=confidence((agreed, made), (controls.agreed, controls.made), seen.below()),
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
}


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


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
