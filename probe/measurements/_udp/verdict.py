"""The rules of UDP triggers: from what was seen to a judgement. First match first; `docs/measurements/udp_trigger.md`
explains each rule by its name."""

from __future__ import annotations

from typing import Any

from probe.measurements._judge import confidence, confidence_in, is_home, milliseconds, plural
from probe.measurements._locate import AGREE
from probe.measurements._proof import acts_at_home
from probe.measurements._udp.seen import AtEnd, Seen
from probe.measurements._udp.triggers import Kind
from probe.model.finding import Interference, Judgement, Placement, Tally, Target, Technique, Verdict

_WHAT: dict[Kind, str] = {"quic": "QUIC Initial", "sip": "SIP message", "stun": "STUN message"}
_TECHNIQUES: dict[Kind, Technique] = {"quic": "trigger_drop", "sip": "voip_signalling", "stun": "voip_stun"}
_MOSTLY = 0.75


def judge(seen: Seen, target: Target) -> Judgement:
    """Apply the rules to one trigger."""
    if not seen.live:
        return _say(seen, target, "control-failed", "inconclusive", _why_nothing(seen))
    if seen.lasting:
        return _say(
            seen, target, "control-did-not-recover", "inconclusive",
            f"After {_these(seen)}, even harmless datagrams to the same far end got no answer, for as long as this "
            "measurement may wait: residual blocking, or the far end's own defence.",
        )  # fmt: skip
    if any(not any(r.answered for r in one.after) for one in seen.live):
        return _say(
            seen, target, "control-failed", "inconclusive",
            f"Harmless datagrams ({_twins(seen)}) got no answer after the test: nothing to compare with.",
        )  # fmt: skip
    struck = seen.struck
    at_home = acts_at_home(seen.swept, seen.place, seen.routers, dropping=not struck[0].rejected) if struck else False
    if struck and (at_home or seen.rejected_at_home()):
        return _say(
            seen, target, "home-router-acts", "inconclusive",
            f"Something acts on {_these(seen)} inside the home, or so near to it that the home's own router can't be "
            "told from the operator's first one: it may be a filter of the home's own.",
            agreed=struck[0].failed,
        )  # fmt: skip
    for one in struck:
        found = _rejected(seen, target, one) or _vanished(seen, target, one)
        if found is not None:
            return found
    if struck:
        return _say(
            seen, target, "silence-may-be-the-far-ends", "inconclusive",
            f"{_share(struck[0])} {_what(seen)} got no answer, harmless ones did; but nothing shows that it was not "
            f"the far end itself, a device right before it, or the home's own router.", agreed=struck[0].failed,
        )  # fmt: skip
    return _rest(seen, target)


def _why_nothing(seen: Seen) -> str:
    asked = " and ".join(one.end.address for one in seen.ends)
    six = " (if nothing at all is reached over IPv6, the line's IPv6 is broken)" if ":" in asked else ""
    if seen.trigger.kind == "quic":
        return (
            f"Harmless QUIC Initials ({_twins(seen)}) got no answer from {asked}: most servers run no QUIC, so this "
            f"says nothing; a reflector answers{six}."
        )
    return f"The reflector at {asked} did not answer harmless datagrams of the same size either{six}."


def _rejected(seen: Seen, target: Target, one: AtEnd) -> Judgement | None:
    """Somebody on the way answers the trigger by ICMP."""
    if one.rejected < AGREE or seen.swept_at is not one or not (seen.short_of_target() and seen.ahead()):
        return None
    if not seen.leave_home():
        return None
    return _interfered(
        seen, target, one, "rejected-before-far-end", "icmp_reject", one.rejected,
        f"{_share(one)} {_what(seen)} were rejected by ICMP, also where they were limited to die before they could "
        "reach the far end; harmless ones never were.",
    )  # fmt: skip


def _vanished(seen: Seen, target: Target, one: AtEnd) -> Judgement | None:
    """The trigger vanishes on the way; its twin does not."""
    place, technique = seen.place, _TECHNIQUES[seen.trigger.kind]
    if not seen.leave_home():
        return None
    if place is not None and seen.vanish() and seen.ahead():
        rule = "trigger-vanishes-before-far-end"
        why = (
            f"routers behind hop {place.clean_ttl} report harmless ones that die on them, but never {_these(seen)}"
        )
    elif one.end.ours and seen.struck_with_ours():
        rule = "trigger-vanishes-at-reflector-too"
        why = "the reflector, which filters nothing, was as unreachable for them as the server; and they left the home"
    else:
        return None
    return _interfered(
        seen, target, one, rule, technique, one.failed,
        f"{_share(one)} {_what(seen)} vanished, harmless ones ({_twins(seen)}) did not; {why}.",
    )  # fmt: skip


def _rest(seen: Seen, target: Target) -> Judgement:
    """Nothing proven: clean if triggers fared like their twins, else inconclusive."""
    made = sum(len(one.triggers) for one in seen.live)
    answered = made - sum(one.failed for one in seen.live)
    below = [s for s in seen.swept if s.elicited and s.ttl < (seen.arrives or 0)]
    if len(below) >= AGREE and seen.short_of_target():
        return _say(
            seen, target, "answer-below-far-end", "inconclusive",
            f"{_what(seen)} that were limited to die before the far end were answered {len(below)} times: somebody on "
            "the way answers; but those that go all the way are answered as well.", agreed=len(below),
        )  # fmt: skip
    if all(len(one.triggers) - one.failed >= max(AGREE, _MOSTLY * len(one.triggers)) for one in seen.live):
        return _say(
            seen, target, "clean", "clean",
            f"{answered} of {made} {_what(seen)} were answered, as harmless ones were.", agreed=answered,
        )  # fmt: skip
    return _say(
        seen, target, "too-little-evidence", "inconclusive",
        f"{made - answered} of {made} got no answer; harmless ones get lost on this line as well, so that chance may "
        "explain it.", agreed=made - answered,
    )  # fmt: skip


def _interfered(
    seen: Seen, target: Target, one: AtEnd, rule: str, technique: Technique, agreed: int, sentence: str
) -> Judgement:
    place, controls = seen.place, _controls(seen)
    made = len(one.triggers)
    reasons = [
        sentence,
        f"Chance gives such a difference once in {round(1 / max(one.chance, 1e-12))} (Fisher's exact test).",
        f"{controls.agreed} of {controls.made} harmless datagrams were answered, before and after.",
    ]
    swept = (0, 0)
    placement: Placement = "unknown"
    if place is not None and rule != "trigger-vanishes-at-reflector-too":
        placement = place.placement
        swept = place.agreeing, place.sweeps
        reasons.append(f"It happens {place.location().attribution} (seen {plural(place.agreeing, 'time')}).")
    else:
        place = None
    if seen.residual:
        reasons.append(
            f"After it, even harmless datagrams to the far end got no answer for about {max(seen.residual):.0f} s."
        )
    return Judgement(
        verdict="interfered", rule=f"udp_trigger/{rule}", target=target,
        interference=Interference(technique, placement, place.location() if place else None),
        trials=Tally(made, agreed), controls=controls,
        confidence=confidence((agreed, made), (controls.agreed, controls.made), swept),
        reasons=reasons, details=details(seen),
    )  # fmt: skip


def _say(seen: Seen, target: Target, rule: str, verdict: Verdict, reason: str, agreed: int = 0) -> Judgement:
    controls = _controls(seen)
    trials = Tally(sum(len(one.triggers) for one in seen.ends), agreed)
    return Judgement(
        verdict=verdict, rule=f"udp_trigger/{rule}", target=target, trials=trials, controls=controls,
        confidence=confidence_in(verdict, trials, controls), reasons=[reason], details=details(seen),
    )  # fmt: skip


def _controls(seen: Seen) -> Tally:
    twins = [r for one in seen.live for r in one.twins]
    return Tally(len(twins), sum(r.answered for r in twins))


def _these(seen: Seen) -> str:
    return f"the name {seen.trigger.host}" if seen.trigger.kind == "quic" else f"{_WHAT[seen.trigger.kind]}s"


def _twins(seen: Seen) -> str:
    return f"for {seen.twin}" if seen.trigger.kind == "quic" else "of the same size, every bit flipped"


def _what(seen: Seen) -> str:
    what = _WHAT[seen.trigger.kind] + "s"
    return f"{what} for {seen.trigger.host}" if seen.trigger.kind == "quic" else what


def _share(one: AtEnd) -> str:
    return f"{one.failed} of {len(one.triggers)}"


def details(seen: Seen) -> dict[str, Any]:
    """The numbers behind the reasons."""
    return {
        "trigger": seen.trigger.kind,
        "twin": seen.twin if seen.trigger.kind == "quic" else "inverted",
        "ends": [
            {
                "address": one.end.address,
                "port": one.end.port,
                "reflector": one.end.ours,
                "answers_twins": one.lives,
                "triggers": [r.show() for r in one.triggers],
                "twins": [r.show() for r in one.twins],
                "chance": float(f"{one.chance:.3g}"),
            }
            for one in seen.ends
        ],
        "one_by_one": seen.apart,
        "residual_s": seen.residual,
        "round_trip": milliseconds(seen.round_trip()),
        "arrives_at_ttl": seen.arrives,
        "path": [{"ttl": t, "address": "" if is_home(a) else a} for t, a in sorted(seen.routers.items())],
        "sweep": [{"ttl": s.ttl, "answered": s.elicited, "expired": s.expired_at is not None} for s in seen.swept],
    }
