"""The rules of calls: from what was seen to a judgement. Pure.

Every accusation needs four things: twins that worked before and after; a difference beyond chance, by exact tests
corrected for all questions of the run; a sweep that shows somebody on the line doing it, not the home's router and not
the far end's site; and at least three packets that say so.
"""

from __future__ import annotations

from typing import Any

from probe.measurements._judge import confidence
from probe.measurements._locate import AGREE
from probe.measurements._voip import words
from probe.measurements._voip.grid import Protocol
from probe.measurements._voip.seen import GRIDS, QUESTIONS, Finding, Seen
from probe.model.finding import Interference, Judgement, Tally, Target, Technique, Verdict

_TECHNIQUES: dict[Protocol, Technique] = {
    "sip": "voip_signalling", "sip_tcp": "voip_signalling", "sip_tls": "voip_signalling", "stun": "voip_stun",
    "turn": "voip_stun", "rtp": "voip_media",
}  # fmt: skip
_RULES = {"payload": "payload-filtered", "payload_on_port": "payload-filtered-on-its-port", "port": "port-blocked"}
_UNLIKELY = 0.05  # p of a difference that is worth more calls, not a verdict


def judge(seen: Seen) -> Judgement:
    """The first rule that fits."""
    if not seen.said:
        return _say(seen, "inconclusive", "no-reflector", [words.no_reflector(seen)])
    (before, _), (after, _) = seen.controls()
    if not before or not after:
        return _say(seen, "inconclusive", "control-failed", [words.control_failed(seen)])
    return _all_udp(seen) or _guilty(seen) or _rewritten(seen) or _unproven(seen) or _services(seen) or _clean(seen)


def technique(found: Finding) -> Technique:
    """The technique's name."""
    return "port_block" if found.why.cause == "port" else _TECHNIQUES[found.protocol]


def _all_udp(seen: Seen) -> Judgement | None:
    if not seen.udp_dead():
        return None
    (tcp, tcp_made), (tcp_after, made_after) = seen.controls(over_tcp=True)
    reasons, located = words.no_udp(seen), seen.udp
    if located is None or located.place is None or not located.guilty or tcp < AGREE or not tcp_after:
        return _say(seen, "inconclusive", "udp-silent", [*reasons, words.why_not(located)])
    made, controls = seen.datagrams(), Tally(tcp_made + made_after, tcp + tcp_after)
    sure = confidence((located.agreed, located.tried), (controls.agreed, controls.made))
    return _say(
        seen, "interfered", "udp-blocked", [*reasons, words.where(located.place)], sure,
        Interference("udp_block", "in_path", located.place.location()), Tally(made, made), controls,
    )  # fmt: skip


def _guilty(seen: Seen) -> Judgement | None:
    """The first finding that a sweep put on the line: payloads before ports, set-up before sound."""
    proven = [f for f in seen.findings if f.located is not None and f.located.guilty]
    chosen = min(proven, key=lambda f: (f.why.cause == "port", GRIDS.index(f.grid)), default=None)
    if chosen is None or chosen.located is None or chosen.located.place is None:
        return None
    located, why, place = chosen.located, chosen.why, chosen.located.place
    controls = _controls(seen)
    # What the sweep and the twins say (Wilson), and never surer than the exact test, corrected, allows.
    sure = min(
        confidence((located.agreed, located.tried), (controls.agreed, controls.made)), round(1 - why.p * QUESTIONS, 3)
    )
    reasons = [words.sentence(chosen), *words.sound(seen, chosen), words.where(place)]
    reasons += [text for text in map(words.sentence, proven) if text not in reasons]
    placement = "in_path" if place.placement == "unknown" else place.placement
    return _say(
        seen, "interfered", _RULES[why.cause], reasons, sure,
        Interference(technique(chosen), placement, place.location()), Tally(why.worse[1], why.worse[0]), controls,
    )  # fmt: skip


def _rewritten(seen: Seen) -> Judgement | None:
    gateway = seen.gateway
    if gateway is None:
        return None
    if not gateway.guilty or gateway.place is None:
        rule = "sip-rewritten-at-home" if gateway.place and gateway.home else "sip-rewritten-somewhere"
        return _say(seen, "inconclusive", rule, words.rewritten(gateway))
    controls, quotes = _controls(seen), gateway.same + gateway.changed
    sure = confidence((quotes, quotes), (controls.agreed, controls.made))
    return _say(
        seen, "interfered", "sip-rewritten", words.rewritten(gateway), sure,
        Interference("sip_alg", "in_path", gateway.place.location()), Tally(gateway.changed, gateway.changed), controls,
    )  # fmt: skip


def _unproven(seen: Seen) -> Judgement | None:
    if seen.findings:
        first = seen.findings[0]
        reasons = [words.sentence(first), *words.sound(seen, first), words.why_not(first.located)]
        return _say(seen, "inconclusive", "filtered-somewhere", reasons)
    lasting = seen.grids["rtp_long"]
    if lasting.dead and not seen.grids["rtp"].dead:
        return _say(seen, "inconclusive", "all-sound-stops", words.all_sound_stops(seen))
    dead = list(dict.fromkeys(grid.protocol for grid in seen.used() if grid.dead))
    if dead:
        return _say(seen, "inconclusive", "one-protocol-silent", [words.silent(dead)])
    for name, grid in seen.grids.items():
        # Chance alone would seldom give such a difference, though more seldom is needed to claim anything.
        if grid.failed()[1] and grid.explain(1, _UNLIKELY):
            return _say(seen, "inconclusive", "fails-now-and-then", [words.now_and_then(name, grid)])
    if seen.real_cut():
        return _say(seen, "inconclusive", "fails-now-and-then", [words.now_and_then("rtp_long", lasting)])
    for name in seen.left_open:
        # More calls were wanted: what failed here might have turned out to be a filter's doing.
        if seen.grids[name].failed(twin=False)[0]:
            return _say(seen, "inconclusive", "left-open", [words.left_open(name, seen.grids[name])])
    return None


def _services(seen: Seen) -> Judgement | None:
    if not seen.asked:
        return None
    calls, chat = seen.working("calls"), seen.working("chat")
    if all(calls.values()) and all(chat.values()):
        return None
    rule = "endpoint-fails"
    if calls and not any(calls.values()):
        rule = "calls-fail-chat-works" if any(chat.values()) else "service-fails"
    return _say(seen, "inconclusive", rule, words.service(seen.target, calls, chat))


def _clean(seen: Seen) -> Judgement:
    controls = _controls(seen)
    real = [grid.failed(twin=False) for grid in seen.used()]
    failed, calls = sum(f for f, _ in real), sum(m for _, m in real)
    sure = confidence((calls - failed, calls), (controls.agreed, controls.made))
    return _say(
        seen, "clean", "clean", words.clean(seen, calls - failed, calls), sure, None, Tally(calls, calls - failed),
        controls,
    )  # fmt: skip


def _controls(seen: Seen) -> Tally:
    (before, made), (after, made_after) = seen.controls()
    return Tally(made + made_after, before + after)


def _say(
    seen: Seen, verdict: Verdict, rule: str, reasons: list[str], sure: float = 0.0,
    interference: Interference | None = None, trials: Tally | None = None, controls: Tally | None = None,
) -> Judgement:  # fmt: skip
    real = [grid.failed(twin=False) for grid in seen.used()]
    return Judgement(
        verdict=verdict, rule=f"voip/{rule}", interference=interference, confidence=sure, reasons=reasons,
        target=Target(seen.target, seen.target, seen.reflector, 0, seen.group),
        trials=trials or Tally(sum(m for _, m in real), sum(f for f, _ in real)),
        controls=controls or _controls(seen), details=_details(seen),
    )  # fmt: skip


def _details(seen: Seen) -> dict[str, Any]:
    return {
        "questions": {name: grid.show() for name, grid in seen.grids.items() if grid.failed()[1]},
        "findings": [
            {"what": f.grid, "cause": f.why.cause, "technique": technique(f), "p": f.why.p,
             "proven": f.located is not None and f.located.guilty}
            for f in seen.findings
        ],
        "media": [stream.show() for stream in seen.streams if stream.lasting],
        "rewritten": list(seen.gateway.lines) if seen.gateway else [],
        "endpoints": [
            {"endpoint": str(a.endpoint), "part": a.part, "made": a.made, "answered": a.answered, "again": a.again}
            for a in seen.asked
        ],
    }  # fmt: skip
