"""What slow transfers prove. Pure: from the transfers to the judgement."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec

from probe.measurements._judge import confidence, hop
from probe.measurements._locate import Place
from probe.measurements._proof import RARE
from probe.measurements._throttle.ask import Moved
from probe.measurements._throttle.stats import area, ks, ratio, unevenness
from probe.model.finding import Interference, Judgement, Location, Tally, Target, Verdict
from probe.model.reflector import Direction

TWICE = 2.0
"""How many times slower is throttled: less is what another server, or another moment, makes (Wehe: half the area)."""
_EVEN = 0.3  # coefficient of variation up to which a rate is a plateau
_WORDS = {"down": "downloads", "up": "uploads"}


class Compared(msgspec.Struct, frozen=True):
    """Transfers of one direction: with the name, and their twins. Bytes a second; ``first``: how many of either are
    of the first round."""

    direction: Direction
    named: list[float]
    twins: list[float]
    first: int

    @property
    def chance(self) -> float:
        """How seldom chance makes the named ones so slow."""
        return ks(self.named, self.twins)

    @property
    def slower(self) -> float:
        """How many times slower they are."""
        return ratio(self.named, self.twins)

    @property
    def cut(self) -> float:
        """Bytes a second between slow and fast: the geometric mean of both medians."""
        return float((max(median(self.named), 1.0) * max(median(self.twins), 1.0)) ** 0.5)

    @property
    def confirmed(self) -> bool:
        """Whether the named ones are throttled: beyond chance, at least twice, in the second round alone as well."""
        later = ratio(self.named[self.first :], self.twins[self.first :])
        return self.chance <= RARE and min(self.slower, later) >= TWICE


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """Where decoys begin to act. ``place`` None: nowhere before the far end, or not steadily."""

    place: Place | None = None
    arrives: int | None = None
    home: bool = True
    ahead: bool = False


def kilobits(speed: float) -> str:
    """For sentences: 128 kbit/s, 4.6 Mbit/s."""
    value = speed * 8 / 1000
    return f"{value / 1000:.1f} Mbit/s" if value >= 1000 else f"{value:.0f} kbit/s"


def speeds(moved: Sequence[Moved]) -> list[float]:
    """Those that could be measured."""
    return [one.speed for one in moved if one.speed is not None]


def show(compared: Compared, moved: Sequence[Moved]) -> dict[str, Any]:
    """A direction, for a finding's details."""
    named = [one for one in moved if one.kind == "name" and one.direction == compared.direction]
    within = [unevenness(one.pieces) for one in named if len(one.pieces) > 1]
    return {
        "name_kbit_s": [round(speed * 0.008, 1) for speed in compared.named],
        "twin_kbit_s": [round(speed * 0.008, 1) for speed in compared.twins],
        "ratio": round(compared.slower, 2),
        "chance": float(f"{compared.chance:.3g}"),
        "area": round(area(compared.named, compared.twins), 3),
        "variation": round(unevenness(compared.named), 3),
        "variation_within": round(median(within), 3) if within else None,
    }


def details(compared: Sequence[Compared], moved: Sequence[Moved]) -> dict[str, Any]:
    """All that was measured."""
    found: dict[str, Any] = {one.direction: show(one, moved) for one in compared}
    decoys = [one for one in moved if one.kind == "decoy"]
    if decoys:
        found["decoys"] = [
            {"ttl": one.ttl, "kbit_s": None if one.speed is None else round(one.speed * 0.008, 1)} for one in decoys
        ]
    found["harmless_kbit_s"] = [round(speed * 0.008, 1) for speed in speeds([m for m in moved if m.kind == "harmless"])]
    found["bytes"] = sum(one.bytes for one in moved)
    return found


def said(rule: str, why: str, target: Target, moved: Sequence[Moved], compared: Sequence[Compared]) -> Judgement:
    """A judgement that accuses nobody: ``alike`` is clean, anything else inconclusive."""
    verdict: Verdict = "clean" if rule == "alike" else "inconclusive"
    trials, controls = tallies(moved, None)
    sure = confidence((trials.agreed, trials.made), (controls.agreed, controls.made))
    return Judgement(
        verdict=verdict, rule=f"throttling/{rule}", target=target, trials=trials, controls=controls,
        confidence=sure if verdict == "clean" else 0.0, reasons=[why], details=details(compared, moved),
    )  # fmt: skip


def tallies(moved: Sequence[Moved], cut: float | None) -> tuple[Tally, Tally]:
    """(trials, controls): transfers with the name, slow ones where there is a ``cut``; twins and harmless names, fast
    ones."""
    named = [one for one in moved if one.kind == "name"]
    others = [one for one in moved if one.kind in ("twin", "harmless")]
    if cut is None:
        return Tally(len(named), len(speeds(named))), Tally(len(others), len(speeds(others)))
    slow, fast = sum(s < cut for s in speeds(named)), sum(s >= cut for s in speeds(others))
    return Tally(len(named), slow), Tally(len(others), fast)


def accuse(
    rule: str, target: Target, name: str, compared: Compared, located: Located, moved: Sequence[Moved]
) -> Judgement:
    """``name`` or ``protocol``: somebody on the way slows these transfers down, at a known place."""
    assert located.place is not None  # noqa: S101 - only who is located is accused
    place = located.place
    here = [one for one in moved if one.direction == compared.direction]
    trials, controls = tallies(here, compared.cut)
    variation = unevenness(compared.named)
    steady = "an even" if variation <= _EVEN else "an uneven"
    slow, fast = kilobits(median(compared.named)), kilobits(median(compared.twins))
    what = f"that name {name}" if rule == "name" else "of this protocol, whatever they name,"
    decoys = [one for one in moved if one.kind == "decoy"]
    right = sum(one.speed is not None and (one.speed < compared.cut) == (one.ttl >= place.first_ttl) for one in decoys)
    harmless = median(speeds([one for one in moved if one.kind == "harmless"]))
    reasons = [
        (
            f"{_WORDS[compared.direction].capitalize()} {what} ran at {slow}, {steady} rate; the same bytes with every "
            f"bit flipped ran at {fast} ({compared.slower:.1f} times as fast, {len(compared.named)} against "
            f"{len(compared.twins)} in turn; chance does that once in {1 / max(compared.chance, 1e-9):,.0f} runs)."
        ),
        f"With a harmless name it ran at {kilobits(harmless)}.",
        (
            f"A packet with the name that dies after {place.first_ttl} routers slows the connection down as well, one "
            f"that dies after {place.clean_ttl} does not: it is done between there, before the far end's own network."
        ),
    ]
    location = Location(
        clean_ttl=place.clean_ttl, first_ttl=place.first_ttl, clean_hop=hop(place.clean_hop),
        first_hop=hop(place.first_hop),
        attribution=f"on the link between hops {place.clean_ttl} and {place.first_ttl}",
    )  # fmt: skip
    plateau = {"kbit_s": round(median(compared.named) * 0.008, 1), "even": variation <= _EVEN}
    return Judgement(
        verdict="interfered", rule=f"throttling/{rule}", target=target,
        interference=Interference("throttling", "in_path", location), trials=trials, controls=controls,
        confidence=confidence(
            (trials.agreed, trials.made), (controls.agreed, controls.made), (right, len(decoys))
        ),
        reasons=reasons,
        details={**details([compared], moved), "plateau": plateau, "arrives_ttl": located.arrives},
    )  # fmt: skip
