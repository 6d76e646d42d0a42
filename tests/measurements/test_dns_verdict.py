"""The rules of DNS answers, on what was heard, without a network. (Whole runs: test_dns_injection.)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probe.measurements._dns import Reply
from probe.measurements._dns_verdict import Seen, judge
from probe.measurements._locate import Shot, place

FAR, NEAR = 56, 61  # IP TTL of the resolver's answers, and of a forger's


def said(text: str = "1 203.0.113.7", ttl: int = FAR, after: float = 0.02, truncated: bool = False) -> Reply:
    return Reply(after, ttl, 1, 0, truncated, frozenset({text}))


def heard(trials: list[list[Reply]], silent: list[list[Reply]] | None = None) -> Seen:
    """A run with three controls before and after, and these trials."""
    seen = Seen("banned.example", "203.0.113.53", "203.0.113.200", "good.example", "press")
    seen.resolver_controls = [[[said("1 203.0.113.9")]] * 3 for _ in range(2)]
    seen.silent_controls = [[]] * 6
    seen.resolver_trials = trials
    seen.silent_trials = silent if silent is not None else [[]] * 3
    return seen


def swept(seen: Seen, first: int, arrives: int = 9) -> Seen:
    """Add three sweeps on which the name is answered from TTL ``first``, the harmless one from ``arrives``."""
    for ttl in list(range(1, arrives + 2)) * 3:
        hit = ttl >= min(first, arrives)
        arrived = NEAR if first <= ttl else FAR
        seen.swept.append(Shot(ttl, hit, arrived if hit else None, routers={ttl: f"198.51.0.{ttl}"}))
        seen.swept_replies.append([said(ttl=arrived)] if hit else [])
        seen.swept_twins.append((ttl, ttl >= arrives))
    seen.routers = {ttl: f"198.51.0.{ttl}" for ttl in range(2, arrives)} | {1: "0.0.0.1"}
    seen.place = place(seen.telling(), seen.routers, arrives=seen.arrives)
    return seen


TWO = [said("1 198.18.0.99", NEAR, 0.004), said()]
Case = tuple[Callable[[], Seen], str, str]
CASES: dict[str, Case] = {
    "all agree": (lambda: heard([[said()]] * 3), "clean", "clean"),
    "no answer": (lambda: heard([[]] * 3), "inconclusive", "no-answer"),
    "one answer": (lambda: heard([[said()], [], []]), "inconclusive", "no-answer"),
    "two answers, no place": (lambda: heard([TWO] * 3), "inconclusive", "too-little-evidence"),
    "two answers, a place": (lambda: swept(heard([TWO] * 3), 4), "interfered", "answer-below-resolver"),
    "two answers at the resolver's own site": (
        lambda: swept(heard([TWO] * 3), 8), "inconclusive", "too-little-evidence",
    ),
    "two answers in two trials, no place": (lambda: heard([TWO, TWO, [said()]]), "inconclusive", "too-little-evidence"),
    "two answers, one cut short": (
        lambda: heard([[said(truncated=True), said("1 203.0.113.8")]] * 3), "clean", "clean",
    ),
    "the silent address answers": (
        lambda: swept(heard([TWO] * 3, [[said()]] * 3), 4), "interfered", "answer-from-silent-address",
    ),
    "… twice only": (
        lambda: swept(heard([[said()]] * 3, [[said()], [said()], []]), 9), "inconclusive", "too-little-evidence",
    ),
    "an answer within the home": (lambda: swept(heard([TWO] * 3), 1), "inconclusive", "home-router-answers"),
}  # fmt: skip


@pytest.mark.parametrize(("run", "verdict", "rule"), CASES.values(), ids=CASES.keys())
def test_rules(run: Callable[[], Seen], verdict: str, rule: str) -> None:
    judgement = judge(run(), 3)
    assert (judgement.verdict, judgement.rule) == (verdict, f"dns_injection/{rule}")
    assert (judgement.interference is not None) == (verdict == "interfered")
    assert (judgement.confidence > 0) == (verdict in ("clean", "interfered"))
    assert judgement.reasons
    assert judgement.target.group == "press"


@pytest.mark.parametrize(("phase", "word"), [(0, "before"), (1, "after")])
def test_controls_must_work_before_and_after(phase: int, word: str) -> None:
    seen = swept(heard([TWO] * 3, [[said()]] * 3), 4)
    seen.resolver_controls[phase] = [[], [], []]
    judgement = judge(seen, 3)
    assert judgement.rule == "dns_injection/control-failed"
    assert word in judgement.reasons[0]


def test_controls_at_the_silent_address_must_stay_silent() -> None:
    seen = swept(heard([TWO] * 3, [[said()]] * 3), 4)
    seen.silent_controls = [[said()]] * 6
    assert judge(seen, 3).rule == "dns_injection/silent-address-answers-everything"
    seen.routers = {1: "0.0.0.1"}
    assert judge(seen, 3).rule == "dns_injection/silent-address-answers"


def test_reasons_hold_the_numbers() -> None:
    judgement = judge(swept(heard([TWO] * 3), 4), 3)
    text = " ".join(judgement.reasons)
    assert "IP TTL 61" in text
    assert "56 to 56" in text
    assert "between hop 3 (198.51.0.3) and hop 4 (198.51.0.4)" in text
    assert judgement.details["arrives_at_ttl"] == 9
    assert judgement.details["path"][0] == {"ttl": 1, "address": ""}


def test_odd_is_another_distance_or_sooner_than_light() -> None:
    seen = heard([])
    assert not seen.odd(said())
    assert not seen.odd(said(ttl=FAR + 1))
    assert seen.odd(said(ttl=FAR + 2))
    assert seen.odd(said(after=0.004))
    assert not seen.odd(said(after=0.016))
    assert not Seen("x", "", "203.0.113.200", "y", "").odd(said(ttl=1))  # nothing to compare with


def test_more_trials_are_wanted_while_signs_are_few() -> None:
    assert heard([[said()]] * 3).settled(3)
    assert not heard([TWO, [said()], [said()]]).settled(3)
    assert heard([TWO] * 3).settled(3)
    assert not heard([[said()]] * 3, [[said()], [], []]).settled(3)


def test_answers_from_next_door_are_looked_into() -> None:
    seen = heard([[said(ttl=64)]] * 3)
    assert not seen.suspicious() or seen.odd_answers()
    seen.resolver_controls = [[[said(ttl=64)]] * 3]
    assert seen.suspicious()
