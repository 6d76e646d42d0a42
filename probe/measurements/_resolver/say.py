"""How a judgement of `dns_resolver` is said: verdict, place, confidence, details."""

from __future__ import annotations

from typing import Any, Literal

from probe.measurements._judge import confidence, confidence_in, hop, is_home
from probe.measurements._proof import home_depth
from probe.measurements._resolver.seen import Seen, Swept, What, Who
from probe.model.finding import Interference, Judgement, Location, Tally, Target, Verdict

_BOTH: tuple[Who, ...] = ("resolver", "control")
_PHASES: tuple[What, ...] = ("before", "after")



def _tally(seen: Seen, *, quiet: bool = True) -> Tally:
    """Control questions made, and those that went as they should. ``quiet``: those to the silent address count too."""
    asked = [answer for phase in _PHASES for who in _BOTH for answer in seen.said[phase, who]]
    good = sum(answer is not None and answer.kind == "addresses" for answer in asked)
    silent = [*seen.said["harmless", "silent"], *seen.said["target", "silent"]] if quiet else []
    return Tally(len(asked) + len(silent), good + sum(answer is None for answer in silent))


def interfered(
    seen: Seen, target: Target, rule: str, technique: Literal["dns_lie", "dns_redirect"], trials: Tally, swept: Swept,
    *reasons: str,
) -> Judgement:  # fmt: skip
    """Interference, by that rule, as ``swept`` locates it."""
    lie = technique == "dns_lie"
    controls = _tally(seen, quiet=lie)  # where queries are redirected, that the silent address answers is the finding
    location = _resolver_at(seen, swept) if lie else _somewhere(swept)
    where = [f"It happens {location.attribution}."] if location else []
    return Judgement(
        verdict="interfered", rule=f"dns_resolver/{rule}", target=target,
        interference=Interference(technique, "resolver" if lie else "in_path", location),
        trials=trials, controls=controls,
        confidence=confidence((trials.agreed, trials.made), (controls.agreed, controls.made)),
        reasons=[*reasons, *where], details=_details(seen),
    )  # fmt: skip


def _resolver_at(seen: Seen, swept: Swept) -> Location | None:
    """The resolver itself, as the end of its path."""
    at = swept.answers
    if at is None:
        return None
    return Location(
        clean_ttl=at - 1, first_ttl=at, clean_hop=hop(swept.routers.get(at - 1)), first_hop=hop(seen.resolver),
        attribution=f"at the resolver {seen.resolver}, hop {at}",
    )  # fmt: skip


def _somewhere(swept: Swept) -> Location | None:
    """Somewhere between the home and whoever answers: a query that is sent elsewhere does not tell where it was."""
    at, depth = swept.answers, home_depth(swept.routers)
    if at is None:
        return None
    return Location(
        clean_ttl=depth, first_ttl=at, clean_hop=hop(swept.routers.get(depth)), first_hop=hop(swept.routers.get(at)),
        attribution=f"somewhere between the home and hop {at}, where the answers come from",
    )  # fmt: skip


def say(
    seen: Seen, target: Target, rule: str, *reasons: str, verdict: Verdict = "inconclusive", agreed: int = 0,
    made: int | None = None,
) -> Judgement:  # fmt: skip
    """Any other verdict. ``agreed`` of ``made`` trials count for a clean one."""
    controls = _tally(seen)
    trials = Tally(len(seen.said["target", "resolver"]) if made is None else made, agreed)
    return Judgement(
        verdict=verdict, rule=f"dns_resolver/{rule}", target=target, trials=trials, controls=controls,
        confidence=confidence_in(verdict, trials, controls), reasons=list(reasons), details=_details(seen),
    )  # fmt: skip


def _details(seen: Seen) -> dict[str, Any]:
    return {
        "resolver": seen.resolver, "public_resolver": seen.public, "control_resolver": seen.control,
        "silent": seen.silent, "control_name": seen.harmless,
        "answers": {
            f"{what}, {who}": [a.show() if a is not None else None for a in answers]
            for (what, who), answers in seen.said.items() if what != "whoami"
        },
        "servers": {
            "before": {a: t.show() for a, t in seen.servers_before.items()},
            "after": {a: t.show() for a, t in seen.servers_after.items()},
            "other": {a: [t.show() for t in looks] for a, looks in seen.odd_servers.items()},
        },
        "resolved_by": {who: [sorted(networks) for networks in sets] for who, sets in seen.askers.items()},
        "identities": dict(seen.identities),
        "transports": seen.transports,
        "sweeps": {
            who: {
                "answers_at_ttl": s.answers, "arrives_at_ttl": s.arrives,
                "path": [{"ttl": t, "address": "" if is_home(a) else a} for t, a in sorted(s.routers.items())],
            }
            for who, s in seen.sweeps.items()
        },
    }  # fmt: skip
