"""The rules of TCP triggers: from what was seen to a judgement. First match first; `docs/measurements/tcp_reset.md`
explains each rule by its name."""

from __future__ import annotations

from typing import Any

from probe.measurements._judge import confidence, confidence_in, is_home, milliseconds, plural
from probe.measurements._locate import AGREE, Shot
from probe.measurements._proof import acts_at_home
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import Reaction
from probe.model.errors import MalformedPacket
from probe.model.finding import Interference, Judgement, Placement, Tally, Target, Technique, Verdict
from probe.wire import http

_KINDS = {"http": "HTTP request", "tls": "TLS ClientHello"}


def judge(seen: Seen, target: Target) -> Judgement:
    """Apply the rules to one trigger."""
    if not any(r.opened for r in seen.before):
        return _not_opened(seen, target)
    worked = [any(r.worked for r in phase) for phase in (seen.before, seen.after or seen.before)]
    if any(r.cut for r in (*seen.before, *seen.after)):
        return _say(
            seen, target, "control-cut", "inconclusive",
            f"The server also resets connections for the harmless name {seen.twin}, so a reset says nothing about "
            f"{seen.trigger.host}.",
        )  # fmt: skip
    if seen.shuts_out_many(AGREE):
        failed = sum(not r.worked for r in seen.burst)
        return _say(
            seen, target, "many-shut-out", "inconclusive",
            f"Of {len(seen.burst)} harmless connections at once, {failed} failed too: the server, or somebody before "
            "it, shuts out whoever opens many, whatever they name.",
        )  # fmt: skip
    if seen.lasting:
        return _say(
            seen, target, "control-did-not-recover", "inconclusive",
            f"After the {_KINDS[seen.trigger.kind]} for {seen.trigger.host}, even harmless ones to the same server "
            f"failed, and did "
            "not work again for as long as this measurement may wait: residual blocking, or the server's own defence.",
        )  # fmt: skip
    if not all(worked) or not seen.trials:
        when = "before" if not worked[0] else "after"
        return _say(
            seen, target, "control-failed", "inconclusive",
            f"The harmless {_KINDS[seen.trigger.kind]} for {seen.twin} got no answer {when} the test: nothing to "
            f"compare with.",
        )  # fmt: skip
    if acts_at_home(seen.telling(), seen.place, seen.routers, dropping=seen.vanishing(), back=seen.back()):
        return _say(
            seen, target, "home-router-acts", "inconclusive",
            "Something acts on this name inside the home, or so near to it that the home's own router can't be told "
            "from the "
            "operator's first one: it may be a filter of the home's own.",
            agreed=max(seen.cut(), seen.silent()),
        )  # fmt: skip
    for rule in (_page, _reset, _drop):
        found = rule(seen, target)
        if found is not None:
            return found
    return _rest(seen, target)


def _not_opened(seen: Seen, target: Target) -> Judgement:
    failure = next((r.failure for r in seen.before if r.failure), "timeout")
    what = {
        "refused": f"{seen.address} refuses connections on port {seen.trigger.port} (a reset answers the SYN itself): "
        "closed, or blocked regardless of any name",
        "unreachable": f"{seen.address} is reported unreachable",
    }.get(failure, f"{seen.address} does not complete a handshake on port {seen.trigger.port}")
    return _say(
        seen,
        target,
        f"handshake-{failure or 'timeout'}",
        "inconclusive",
        what + ". `colibri measure blackhole` looks into that.",
    )


def _page(seen: Seen, target: Target) -> Judgement | None:
    """A forged answer: data that the target did not send."""
    below = [r for r in seen.below() if r.data]
    mirrored = seen.place is not None and seen.place.mirrored
    odd = seen.odd_spoken()
    short = seen.short_of_target() and seen.ahead("elicited", AGREE)
    if not short or not (len(below) >= AGREE or (mirrored and odd >= AGREE)):
        return None
    forged = [*below, *(r for r in seen.trials if seen.odd_data(r))]
    technique: Technique = "block_page" if any(_is_page(r) for r in forged) else "tcp_reset"
    title = next((t for r in forged if (t := _title(r))), "")
    named = f", titled “{title}”," if title else ""
    agreed, made = (odd, len(seen.trials)) if odd >= AGREE else (len(below), seen.tried_below())
    return _interfered(
        seen, target, "answer-below-server", technique, agreed, made,
        f"An answer{named} came to {_KINDS[seen.trigger.kind]}s for {seen.trigger.host} that were limited to die "
        f"before they could reach "
        f"the server; harmless ones drew none: somebody on the way answers in the server's place.",
    )  # fmt: skip


def _reset(seen: Seen, target: Target) -> Judgement | None:
    """Resets (or forged FINs) after the trigger, never after its twin, that the target did not send."""
    hits, made = seen.cut(), len(seen.trials)
    below = sum(r.cut for r in seen.below())
    control = seen.control_hits("cut")
    short = seen.short_of_target() and seen.ahead("cut", AGREE)
    if hits < AGREE and not (short and below >= AGREE):
        return None
    contradictions = {k: v for k, v in seen.contradictions().items() if v >= AGREE}
    word = "reset" if any(r.resets for r in (*seen.trials, *seen.below())) else "closed"
    name = seen.trigger.host
    what = f"Connections that name {name} were {word} in {hits} of {plural(made, 'trial')}, harmless ones never"
    if hits < AGREE:
        rule, hits, made = "reset-below-server-only", below, seen.tried_below()
        why = (
            f"forged ones came in {below} of {made} cases where the {_KINDS[seen.trigger.kind]} was limited to die "
            f"before it could "
            "reach the server (at full length the server's answer won the race, or the home router hid the loser)"
        )
    elif short and seen.place is not None and seen.place.mirrored:
        rule = "reset-with-copied-ttl"
        why = "their IP TTL copies that of the packet they answer: they come from well before the server"
    elif short:
        rule = "reset-below-server"
        why = f"it happened even where the {_KINDS[seen.trigger.kind]} was limited to die before it reached the server"
    elif control >= AGREE and contradictions and seen.acts_far("cut"):
        rule = "reset-at-control-too"
        why = (
            f"so were {control} of {len(seen.control_trials)} to our own server at {seen.control}, which resets nobody"
        )
    else:
        return _say(
            seen, target, "reset-may-be-the-servers", "inconclusive",
            f"{what}, but nothing shows that it was not done by the server, or by a device right before it.",
            agreed=hits,
        )  # fmt: skip
    return _interfered(seen, target, rule, "tcp_reset", hits, made, f"{what}; {why}.")


def _drop(seen: Seen, target: Target) -> Judgement | None:
    """The trigger vanishes on the way; its twin does not."""
    silent = seen.silent()
    if silent < AGREE:
        return None
    control = seen.control_hits("silent")
    place = seen.place
    name = seen.trigger.host
    left = seen.leave_home()
    if left and place is not None and seen.vanishes(AGREE) and seen.ahead("silent", AGREE):
        rule = "trigger-vanishes-before-server"
        why = (
            f"routers behind hop {place.clean_ttl} report harmless ones that die on them, but never the ones with the "
            "name"
        )
    elif left and control >= AGREE:
        rule = "trigger-vanishes-at-control-too"
        why = (
            f"{control} of {len(seen.control_trials)} to our own server at {seen.control} vanished as well, although "
            "it answers harmless ones"
        )
    else:
        return _say(
            seen, target, "silence-may-be-the-servers", "inconclusive",
            f"The {_KINDS[seen.trigger.kind]} for {name} got no answer at all in {silent} of {len(seen.trials)} "
            f"trials, but nothing shows "
            "that it was not the server, a device right before it, or the home's own router that ignored it.",
            agreed=silent,
        )  # fmt: skip
    return _interfered(
        seen, target, rule, "trigger_drop", silent, len(seen.trials),
        f"The {_KINDS[seen.trigger.kind]} for {name} vanished in {silent} of {len(seen.trials)} trials, harmless ones "
        f"never; {why}.",
    )  # fmt: skip


def _rest(seen: Seen, target: Target) -> Judgement:
    """Nothing proven: clean if the trials went like the twins, else inconclusive."""
    spoke = seen.spoke()
    signs = max(seen.cut(), seen.silent(), seen.odd_spoken())
    # A trigger that should have fallen short and was answered may have gone a shorter way: the sweep tells.
    if signs == 0 and not (seen.short_only() and seen.below()) and spoke >= AGREE:
        return _say(
            seen, target, "clean", "clean",
            f"The server at {seen.address} answered the {_KINDS[seen.trigger.kind]} for {seen.trigger.host} in "
            f"{spoke} of "
            f"{plural(len(seen.trials), 'trial')}, as it does for the harmless {seen.twin}.",
            agreed=spoke,
        )  # fmt: skip
    if signs == 0 and spoke < AGREE:
        return _say(
            seen, target, "no-answer", "inconclusive",
            f"The server took the {_KINDS[seen.trigger.kind]} for {seen.trigger.host}, but answered in only {spoke} of "
            f"{plural(len(seen.trials), 'trial')}.",
        )  # fmt: skip
    return _say(
        seen, target, "too-little-evidence", "inconclusive",
        f"Something looked odd in {signs} of {plural(len(seen.trials), 'trial')}; {AGREE} agreeing trials with "
        f"physical evidence "
        "are needed.",
        agreed=signs,
    )  # fmt: skip


def _interfered(
    seen: Seen, target: Target, rule: str, technique: Technique, agreed: int, made: int, sentence: str
) -> Judgement:
    place = seen.place
    controls = _controls(seen)
    reasons = [sentence]
    contradictions = seen.contradictions()
    if technique == "tcp_reset":
        reasons += _physics(seen, contradictions)
    reasons.append(f"{controls.agreed} of {controls.made} harmless connections went as they should, before and after.")
    if place is not None:
        how = (
            "computed from the TTL that the forged packets copy"
            if place.mirrored
            else f"seen {plural(place.agreeing, 'time')}"
        )
        reasons.append(f"It happens {place.location().attribution} ({how}).")
    if seen.residual:
        reasons.append(
            f"After it, even harmless connections to the server failed for about {max(seen.residual):.0f} s."
        )
    placement: Placement = place.placement if place else "unknown"
    # Sweep probes whose TTL alone decides what they may elicit (a drop's: those that routers behind it never quoted).
    swept = len(seen.below()), seen.tried_below()
    if place is not None and (place.mirrored or technique == "trigger_drop"):
        swept = place.agreeing, place.sweeps
    return Judgement(
        verdict="interfered",
        rule=f"tcp_reset/{rule}",
        target=target,
        interference=Interference(technique, placement, place.location() if place else None),
        trials=Tally(made, agreed),
        controls=controls,
        confidence=confidence((agreed, made), (controls.agreed, controls.made), swept),
        reasons=reasons,
        details=details(seen),
    )


def _physics(seen: Seen, contradictions: dict[str, int]) -> list[str]:
    sentences = []
    example = next((s for r in seen.trials for s in r.resets if seen.unlike(r, s)), None)
    if contradictions["ttl_unlike"] and example is not None:
        sentences.append(
            f"In {contradictions['ttl_unlike']} trials the reset's IP TTL ({example.ttl}) was not that of the "
            f"server's own packets "
            f"({seen.least_synack_ttl()})."
        )
    if contradictions["data_behind_reset"]:
        sentences.append(
            f"In {contradictions['data_behind_reset']} trials the server's real answer still arrived behind the "
            f"reset, which a "
            "server that closes never sends."
        )
    if contradictions["sooner_than_round_trip"]:
        soonest = min(s.after for r in seen.trials for s in (*r.resets, *r.fins))
        sentences.append(
            f"A reset came after {milliseconds(soonest)}; a round trip to the server takes "
            f"{milliseconds(seen.round_trip())}."
        )
    return sentences


def _controls(seen: Seen) -> Tally:
    good = seen.twins()
    return Tally(len(good), sum(r.worked for r in good))


def _say(seen: Seen, target: Target, rule: str, verdict: Verdict, reason: str, agreed: int = 0) -> Judgement:
    controls = _controls(seen)
    trials = Tally(len(seen.trials), agreed)
    return Judgement(
        verdict=verdict, rule=f"tcp_reset/{rule}", target=target, trials=trials, controls=controls,
        confidence=confidence_in(verdict, trials, controls), reasons=[reason], details=details(seen),
    )  # fmt: skip


def _is_page(reaction: Reaction) -> bool:
    return reaction.stream().startswith(b"HTTP/")


def _title(reaction: Reaction) -> str:
    try:
        return http.title(http.decode_response(reaction.stream()).body)[:80]
    except MalformedPacket:
        return ""


def _events(r: Reaction) -> dict[str, Any]:
    return {
        "handshake_ms": None if r.round_trip is None else round(r.round_trip * 1000, 3),
        "synack_ttl": r.synack_ttl,
        "resets": [
            {"after_ms": round(s.after * 1000, 3), "ttl": s.ttl, "ip_id": s.ident, "window": s.window} for s in r.resets
        ],
        "fins": len(r.fins),
        "data": [{"after_ms": round(s.after * 1000, 3), "ttl": s.ttl, "bytes": len(s.payload)} for s in r.data[:4]],
        "acknowledged": r.acknowledged,
        "failure": r.failure,
    }


def _swept(s: Shot) -> dict[str, Any]:
    return {"ttl": s.ttl, "answered": s.elicited, "reply_ttl": s.reply_ttl, "expired": s.expired_at is not None}


def details(seen: Seen) -> dict[str, Any]:
    """The numbers behind the reasons."""
    return {
        "trigger": seen.trigger.kind,
        "port": seen.trigger.port,
        "twin": seen.twin,
        "control_address": seen.control,
        "trials": [_events(r) for r in seen.trials],
        "twins": [_events(r) for r in seen.twins()],
        "control_trials": [_events(r) for r in seen.control_trials],
        "contradictions": seen.contradictions(),
        "arrives_at_ttl": seen.arrives,
        "residual_s": seen.residual,
        "path": [{"ttl": t, "address": "" if is_home(a) else a} for t, a in sorted(seen.routers.items())],
        "sweep": [_swept(s) for s in seen.swept],
    }
