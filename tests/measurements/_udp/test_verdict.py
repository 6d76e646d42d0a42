from __future__ import annotations

from collections.abc import Callable

import pytest

from probe.measurements._locate import Place, Shot
from probe.measurements._udp.seen import Seen
from probe.measurements._udp.triggers import Reaction
from probe.measurements._udp.verdict import judge
from probe.model.finding import Judgement, Target
from tests.measurements._udp.test_seen import NO, REJECTED, YES, at, seen

TARGET = Target("banned.example", "banned.example", "203.0.113.190", 443)


def swept(
    place: int, reject: bool = False, home: int = 1, triggers: list[Reaction] | None = None, silent_till: int = 0
) -> Seen:
    """A drop (or rejection) on the link before hop ``place`` of a path of nine, twelve shots at each TTL. Routers
    of the operator nearer than ``silent_till`` say nothing."""
    found = seen(at([YES] * 9, triggers or [REJECTED if reject else NO] * 6))
    one = found.swept_at = found.ends[0]
    one.after += [YES] * 3
    routers = {t: f"0.0.0.{t}" if t <= home else f"198.51.100.{t}" for t in range(1, 9)}
    routers = {t: router for t, router in routers.items() if t <= home or t >= silent_till}
    found.routers = routers
    for t in range(1, 10):
        own = {t: routers[t]} if t in routers else {}
        for _ in range(12):
            dies = routers.get(t)
            found.swept.append(Shot(t, reject and t >= place, 60 if t >= place else None,
                                    dies if t < place else None, own))  # fmt: skip
            found.twin_shots.append(Shot(t, t == 9, 56 if t == 9 else None, dies, own))
    found.fresh = list(found.swept)
    found.beyond = [NO] * 12
    first = routers.get(place)
    found.place = Place(place - 1, place, routers.get(place - 1), first, "in_path", 12, 12)
    return found


def judged(found: Seen) -> Judgement:
    return judge(found, TARGET)


def unsure(triggers: list[Reaction], before: list[Reaction], after: list[Reaction]) -> Seen:
    found = seen(at(before, triggers))
    found.ends[0].after += after
    return found


def lasting() -> Seen:
    found = unsure([NO] * 3, [YES] * 3, [])
    found.lasting = True
    return found


def at_both(left_home: int) -> Seen:
    found = swept(9)
    found.ends.append(at([YES] * 9, [NO] * 6, "203.0.113.10"))
    found.ends[1].after += [YES] * 3
    found.place = None
    found.swept = [s for s in found.swept if s.ttl == 1] + [s for s in found.swept if s.ttl == 5][:left_home]
    found.swept += [Shot(5, False, None, None, {5: "198.51.100.5"})] * (9 - left_home)
    found.fresh = list(found.swept)
    return found


CASES: dict[str, tuple[Callable[[], Seen], str, str]] = {
    "nobody answers": (lambda: unsure([], [NO] * 9, []), "inconclusive", "control-failed"),
    "nobody answers any more": (lambda: unsure([YES] * 3, [YES] * 3, [NO] * 3), "inconclusive", "control-failed"),
    "it lasts": (lasting, "inconclusive", "control-did-not-recover"),
    "all answered": (lambda: unsure([YES] * 3, [YES] * 3, [YES] * 3), "clean", "clean"),
    "one lost": (lambda: unsure([YES] * 8 + [NO], [YES] * 9, [YES] * 3), "clean", "clean"),
    "half lost": (lambda: unsure([YES, NO] * 3, [YES, YES, NO], [YES] * 3), "inconclusive", "too-little-evidence"),
    "vanish": (lambda: swept(5), "interfered", "trigger-vanishes-before-far-end"),
    "vanish near the far end": (lambda: swept(8), "inconclusive", "silence-may-be-the-far-ends"),
    "vanish right behind the home": (lambda: swept(2), "inconclusive", "home-router-acts"),
    "vanish in a home of two routers": (lambda: swept(3, home=2), "inconclusive", "home-router-acts"),
    "rejected": (lambda: swept(5, reject=True), "interfered", "rejected-before-far-end"),
    "rejected near the far end": (lambda: swept(8, reject=True), "inconclusive", "silence-may-be-the-far-ends"),
    "vanish at both ends, and left the home": (
        lambda: at_both(9), "interfered", "trigger-vanishes-at-reflector-too",
    ),
    "vanish within a home of silent routers": (
        lambda: swept(5, silent_till=5), "inconclusive", "silence-may-be-the-far-ends",
    ),
    "vanish at both ends, perhaps at home": (lambda: at_both(2), "inconclusive", "silence-may-be-the-far-ends"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_rules(case: str) -> None:
    make, verdict, rule = CASES[case]
    judgement = judged(make())
    assert (judgement.verdict, judgement.rule) == (verdict, f"udp_trigger/{rule}")
    assert (judgement.interference is not None) == (verdict == "interfered")
    assert (judgement.confidence > 0) == (verdict in ("interfered", "clean"))
    assert judgement.reasons
    assert all(reason.endswith(".") for reason in judgement.reasons)


def test_more_trials_more_confidence() -> None:
    few, many = judged(swept(5)), judged(swept(5, triggers=[NO] * 18))
    assert 0.5 < few.confidence < many.confidence < 1


def test_details_hide_the_home() -> None:
    details = judged(swept(5)).details
    assert details["path"][0] == {"ttl": 1, "address": ""}
    assert details["path"][1]["address"] == "198.51.100.2"
    assert details["ends"][0]["chance"] < 0.0005
