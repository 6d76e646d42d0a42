"""The rules of DNS answers, on what was heard, without a network. (Whole runs: test_dns_injection.)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probe.measurements._dns.seen import Seen
from probe.measurements._dns.verdict import judge
from tests.measurements._dns.test_seen import TWO, heard, said, swept

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
    assert "arrive with IP TTL 56." in text
    assert "between hop 3 (198.51.0.3) and hop 4 (198.51.0.4)" in text
    assert judgement.details["arrives_at_ttl"] == 9
    assert judgement.details["path"][0] == {"ttl": 1, "address": ""}
