"""What the looks add up to: the rules of `tampering`, apart from the asking."""

from __future__ import annotations

from probe.measurements._beyond import surely_beyond
from probe.measurements._judge import confidence, plural
from probe.measurements._locate import AGREE, Place
from probe.measurements._proof import MARGIN, acts_at_home, ahead, proven_short
from probe.measurements._tamper.say import by_whom, changes, controls_of, details, ordinary, say, twin_told, with_port
from probe.measurements._tamper.seen import TRIAL, TWINS, Kind, Look, Path, Seen
from probe.model.finding import Interference, Judgement, Tally, Target, Technique, Verdict

_WHAT: dict[Kind, str] = {"http": "request", "tls": "TLS session"}
_ORDER: dict[Verdict, int] = {"interfered": 0, "inconclusive": 1, "clean": 2, "down": 3}


def judge(seen: Seen, target: Target) -> Judgement:
    """Judge HTTP and TLS each by itself; the worse is the measurement's, and ordinary rewriting is told beside it.

    Where something came through changed, what did not is not judged: its twins were not asked again.
    """
    if not seen.ports:
        return say(seen, target, "no-ports", "The far end serves no web ports, known and random, to compare.")
    both = [_one(seen, target, kind) for kind in seen.changed() or seen.ports]
    return min(both, key=lambda one: (_ORDER[one.verdict], -one.confidence))


def _one(seen: Seen, target: Target, kind: Kind) -> Judgement:
    known = seen.ports[kind][0]
    twin, trials = seen.twin(kind), seen.trials(kind)
    touched = [look for look in trials if look.touched]
    what = _WHAT[kind]
    if kind == "tls" and len(set(seen.certificates)) != 1:
        return say(
            seen, target, "far-end-changed",
            "The far end has changed its certificate, or could not be asked for it before and after.",
        )  # fmt: skip
    if twin is None:
        return _no_twin(seen, target, kind)
    if len(trials) < AGREE:
        return say(
            seen, target, f"{kind}-no-answer",
            f"Only {len(trials)} of {plural(len(seen.looks[kind, 'trial', TRIAL]), what)} for {seen.target} to port "
            f"{known} of the far end got an answer, while others did: it may be blocked (measure it with tcp-reset).",
        )  # fmt: skip
    if not touched:
        return _clean(seen, target, kind, len(trials))
    if len(touched) < len(trials):
        return say(
            seen, target, f"{kind}-touched-at-times",
            f"{len(touched)} of {plural(len(trials), what)} came through changed ({changes(touched)}), others not.",
        )  # fmt: skip
    return _changed(seen, target, kind, touched)


def _no_twin(seen: Seen, target: Target, kind: Kind) -> Judgement:
    told = [seen.touched(kind, cell) for cell in TWINS]
    if any(touched for touched, _ in told):
        return say(
            seen, target, f"{kind}-never-untouched",
            f"Not even to a port that nobody knows did each {_WHAT[kind]} come through untouched, before and after: "
            "the far end itself may stand behind a proxy, or the line ends all connections.",
        )  # fmt: skip
    return say(
        seen, target, "control-failed",
        f"No harmless {_WHAT[kind]} came through both before and after the test.",
    )  # fmt: skip


def _changed(seen: Seen, target: Target, kind: Kind, touched: list[Look]) -> Judgement:
    """Every trial came through changed, its twin never: by whom?"""
    known = seen.ports[kind][0]
    found = seen.paths.get(kind)
    where = None if found is None else _quoted_place(found) or _answered_place(found)
    told = (
        f"In {len(touched)} of {plural(len(touched), 'trial')} the {_WHAT[kind]} for {seen.target} to port {known} of "
        f"our far end came through changed ({changes(touched)}); {twin_told(seen, kind)}."
    )
    if found is not None and _at_home(found):
        return say(
            seen, target, f"{kind}-changed-at-home", told,
            "It happens inside the home, or may: a virus scanner, parental control or the home router does that.",
        )  # fmt: skip
    if where is None or found is None:
        return say(
            seen, target, f"{kind}-changed-somewhere", told,
            "Where it happens could not be found out, so it may be the home's own doing, or the far end's.",
        )  # fmt: skip
    technique, rule = _name(seen, kind, touched)
    tally, controls = Tally(len(touched), len(touched)), controls_of(seen, kind)
    limit = found.arrives or 0
    below = sum(s.elicited and s.ttl < limit for s in found.shots)
    tried = sum(where.first_ttl <= s.ttl < limit for s in found.shots)
    quotes = sum(ttl >= where.first_ttl for ttl in found.quotes.touched)
    seen_there = (below, tried) if below else (quotes, quotes)
    return Judgement(
        verdict="interfered", rule=f"tampering/{rule}", target=with_port(target, known),
        interference=Interference(technique, "in_path", where.location()), trials=tally, controls=controls,
        confidence=confidence((tally.agreed, tally.made), (controls.agreed, controls.made), seen_there),
        reasons=[told, *by_whom(touched), f"It happens {where.location().attribution}.", *ordinary(seen)],
        details=details(seen),
    )  # fmt: skip


def _name(seen: Seen, kind: Kind, touched: list[Look]) -> tuple[Technique, str]:
    if kind == "tls":
        return "tls_interception", "certificate-replaced"
    if all(not look.own for look in touched):
        harmless = seen.touched("http", ("known", "harmless"))
        if harmless[1] and not harmless[0]:
            return "block_page", "page-replaced"
        return "header_tampering", "all-pages-replaced"
    return "header_tampering", "request-rewritten"


def _quoted_place(found: Path) -> Place | None:
    """Between the last router that quotes requests as they were sent and the first that does not; None unless three
    quotes on each side agree, and one that is surely beyond the home still saw them untouched."""
    quotes = found.quotes
    first = min(quotes.touched, default=0)
    before = [ttl for ttl in quotes.untouched if ttl < first]
    if len(quotes.touched) < AGREE or len(before) < AGREE or any(ttl >= first for ttl in quotes.untouched):
        return None
    clean = max(before)
    if not surely_beyond(clean, found.routers) or found.arrives is None or first + MARGIN > found.arrives:
        return None
    agreeing = len(quotes.touched)
    return Place(clean, first, found.routers.get(clean), found.routers.get(first), "in_path", agreeing, agreeing)


def _answered_place(found: Path) -> Place | None:
    """Where somebody answers requests that can't have reached the far end, nor come from the home."""
    where, arrives = found.place, found.arrives
    if where is None or arrives is None or not proven_short(found.shots, found.twins, arrives):
        return None
    if not ahead(where, arrives, arrives - 1) or not surely_beyond(where.first_ttl, found.routers):
        return None
    return where


def _at_home(found: Path) -> bool:
    """Whether the home answers requests in the far end's place, or no router beyond it ever saw them untouched."""
    first = min(found.quotes.touched, default=256)
    seen_whole = any(ttl < first and surely_beyond(ttl, found.routers) for ttl in found.quotes.untouched)
    if found.quotes.touched and not seen_whole:
        return True
    below = [s for s in found.shots if found.arrives is None or s.ttl < found.arrives]
    return acts_at_home(below, found.place, found.routers) or (
        found.place is not None and not surely_beyond(found.place.first_ttl, found.routers)
    )


def _clean(seen: Seen, target: Target, kind: Kind, trials: int) -> Judgement:
    known, random = seen.ports[kind]
    controls = controls_of(seen, kind)
    words = "unchanged" if kind == "http" else "with the far end's own certificate"
    return say(
        seen, target, "clean",
        f"{plural(trials, _WHAT[kind])} for {seen.target} to port {known} of our far end came through {words}, and so "
        f"did those for {seen.harmless} and to port {random}.",
        *ordinary(seen), verdict="clean", trials=Tally(trials, trials), controls=controls,
    )  # fmt: skip
