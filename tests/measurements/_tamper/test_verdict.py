"""The rules of `tampering`, on looks made by hand."""

from __future__ import annotations

from probe.measurements._locate import Shot, place
from probe.measurements._tamper.seen import TRIAL, TWINS, Look, Path, Seen
from probe.measurements._tamper.verdict import judge
from probe.model.finding import Judgement, Target

GOOD, BAD = Look(touched=False), Look(touched=True, changes=("got 'Via'",))
ROUTERS = {1: "0.0.0.1"} | {ttl: f"198.51.0.{ttl}" for ttl in range(2, 9)}


def heard(trials: list[Look], twins: list[Look] | None = None) -> Seen:
    seen = Seen("press.example", "good.example", "203.0.113.190")
    seen.ports = {"http": (80, 20001)}
    seen.certificates = ["ab", "ab"]
    for cell in TWINS:
        for phase in ("before", "after"):
            seen.looks["http", phase, cell] = [GOOD] * 3 if twins is None else twins
    seen.looks["http", "trial", TRIAL] = trials
    return seen


def swept(at: int, shots: int = 8, routers: dict[int, str] | None = None, reply: int = 61) -> Path:
    """Somebody answers from hop ``at`` on; the far end is 9 hops away."""
    routers = ROUTERS if routers is None else routers
    ttls = [*range(1, 10), *([at] * shots)]
    found = Path(
        shots=[Shot(ttl, ttl >= at, reply if ttl >= at else None) for ttl in ttls],
        twins=[(ttl, ttl >= 9) for ttl in ttls], routers=dict(routers),
    )  # fmt: skip
    found.place = place([s for s in found.shots if s.ttl < 9], routers, arrives=9)
    return found


def judged(seen: Seen) -> Judgement:
    return judge(seen, Target("press.example", "press.example", "203.0.113.190"))


def rule(seen: Seen) -> str:
    return judged(seen).rule.partition("/")[2]


def test_three_changed_requests_and_a_place_on_the_way_are_tampering() -> None:
    seen = heard([BAD] * 3)
    seen.paths["http"] = swept(4)
    found = judged(seen)
    assert found.rule == "tampering/request-rewritten"
    assert found.interference is not None
    assert found.interference.location is not None
    assert (found.interference.location.clean_ttl, found.interference.location.first_ttl) == (3, 4)
    assert (found.trials.agreed, found.controls.made, found.controls.agreed) == (3, 6, 6)
    assert found.target.port == 80


def test_two_are_too_few_and_one_untouched_is_a_doubt() -> None:
    for trials, said in (([BAD] * 2, "http-no-answer"), ([BAD, BAD, GOOD], "http-touched-at-times")):
        seen = heard(trials)
        seen.paths["http"] = swept(4)
        assert rule(seen) == said


def test_without_a_place_nobody_is_accused() -> None:
    assert rule(heard([BAD] * 3)) == "http-changed-somewhere"
    seen = heard([BAD] * 3)
    seen.paths["http"] = swept(8)  # one link before the far end: its own site
    assert rule(seen) == "http-changed-somewhere"


def test_few_shots_may_be_chance() -> None:
    seen = heard([BAD] * 3)
    seen.paths["http"] = swept(6, shots=0)
    assert rule(seen) == "http-changed-somewhere"


def test_what_answers_from_the_home_or_right_behind_it_is_the_home_s() -> None:
    for at, routers, reply in ((1, ROUTERS, 64), (2, {1: "0.0.0.1"}, 63), (2, ROUTERS | {2: "10.0.0.1"}, 63)):
        seen = heard([BAD] * 3)
        seen.paths["http"] = swept(at, routers=routers, reply=reply)
        assert rule(seen) == "http-changed-at-home"
    seen = heard([BAD] * 3)
    seen.paths["http"] = swept(2, reply=63)
    assert rule(seen) == "request-rewritten"


def quoted(untouched: list[int], touched: list[int]) -> Seen:
    seen = heard([BAD] * 3)
    path = Path(shots=[Shot(9, True, 56)], twins=[(9, True)], routers=dict(ROUTERS))
    path.quotes.untouched, path.quotes.touched = untouched, touched
    seen.paths["http"] = path
    return seen


def test_quotes_locate_a_box_that_lets_requests_pass() -> None:
    found = judged(quoted([1, 2, 3, 3, 3], [4, 4, 4, 5, 6]))
    assert found.rule == "tampering/request-rewritten"
    assert found.interference is not None
    assert found.interference.location is not None
    assert (found.interference.location.clean_ttl, found.interference.location.first_ttl) == (3, 4)


def test_quotes_that_do_not_suffice() -> None:
    assert rule(quoted([1], [2, 3, 4])) == "http-changed-at-home"  # no router beyond the home saw it untouched
    assert rule(quoted([1, 2, 3], [4, 4])) == "http-changed-somewhere"
    assert rule(quoted([3, 3], [4, 4, 4])) == "http-changed-somewhere"
    assert rule(quoted([3, 3, 3, 5], [4, 4, 4])) == "http-changed-somewhere"  # untouched behind: ways differ
    assert rule(quoted([3, 3, 3], [8, 8, 8])) == "http-changed-somewhere"  # the far end's own site


def test_no_twin_no_verdict() -> None:
    assert rule(heard([BAD] * 3, [BAD] * 3)) == "http-never-untouched"
    assert rule(heard([BAD] * 3, [Look()] * 3)) == "control-failed"
    seen = heard([GOOD] * 3)
    for cell in TWINS:
        seen.looks["http", "after", cell] = []
    assert rule(seen) == "control-failed"


def test_a_far_end_that_changes_its_certificate_is_not_judged_by_it() -> None:
    for told in (["ab", "cd"], []):
        seen = heard([GOOD] * 3)
        seen.ports, seen.certificates = {"tls": (443, 20001)}, told
        assert rule(seen) == "far-end-changed"


def test_the_worse_of_both_is_said() -> None:
    seen = heard([GOOD] * 3)
    seen.ports = {"http": (80, 20001), "tls": (443, 20001)}
    for cell in TWINS:
        for phase in ("before", "after"):
            seen.looks["tls", phase, cell] = [GOOD] * 3
    seen.looks["tls", "trial", TRIAL] = [Look(touched=True, own=False, issuer="CN=Gateway")] * 3
    assert rule(seen) == "tls-changed-somewhere"
    seen.paths["tls"] = swept(4)
    found = judged(seen)
    assert found.rule == "tampering/certificate-replaced"
    assert any("CN=Gateway" in reason for reason in found.reasons)
