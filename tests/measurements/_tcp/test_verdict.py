"""The rules of TCP triggers, on what was heard, without a network. (Whole runs: test_tcp_reset.)"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from probe.measurements._locate import Shot, place_drop
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import Reaction
from probe.measurements._tcp.verdict import judge
from probe.model.finding import Judgement, Target
from tests.measurements._tcp.test_seen import FAR, NEAR, NOTHING, PAGE, WORKED, cut, make, reset, sweep

BLOCKED = msgspec.structs.replace(
    PAGE, ttl=NEAR, payload=b"HTTP/1.1 403 No\r\nContent-Length: 30\r\n\r\n<title>Blocked by order</title>"
)
FORGED = msgspec.structs.replace(WORKED, data=(BLOCKED,))
CLOSED = msgspec.structs.replace(NOTHING, opened=False, sent=False, failure="refused", synack_ttl=None, round_trip=None)
TARGET = Target("http://banned.example/", "banned.example", "203.0.113.10", 80)


def verdict(seen: Seen) -> Judgement:
    return judge(seen, TARGET)


def vanished(first: int = 4) -> Seen:
    seen = sweep(make([NOTHING] * 3), first, reaction=NOTHING)
    seen.twin_shots *= 3
    seen.fresh = list(zip(seen.swept, [r for _, r in seen.swept_reactions], strict=True))
    seen.place = place_drop(seen.swept, seen.twin_shots, seen.routers, arrives=seen.arrives)
    return seen


def vanished_at_control(beyond: Reaction = NOTHING) -> Seen:
    """No router behind the place speaks, but triggers to our own server vanish too, after they were seen outside."""
    seen = at_control(vanished(7), NOTHING)
    seen.place = None
    seen.fresh = [(s, r) for s, r in seen.fresh if s.ttl < 7]
    seen.beyond = [beyond] * 9
    return seen


def share() -> Seen:
    """The same place, but later triggers are reported before it no more often than behind."""
    seen = vanished()
    seen.fresh = [(msgspec.structs.replace(s, expired_at=None), NOTHING) for s, _ in seen.fresh]
    return seen


def before(*reactions: object) -> Seen:
    seen = make()
    seen.before = list(reactions)  # type: ignore[arg-type]
    return seen


def lasting() -> Seen:
    seen = make([cut()] * 3)
    seen.lasting, seen.after = True, []
    return seen


def without_after() -> Seen:
    seen = make([WORKED] * 3)
    seen.after = [NOTHING] * 3
    return seen


def at_control(seen: Seen, hit: object) -> Seen:
    seen.control_trials, seen.control_twins = [hit] * 3, [WORKED] * 3  # type: ignore[list-item]
    return seen


def nowhere(ttls: list[int], *, passing: int = 0, early: int = 0) -> Seen:
    """Resets with these TTLs, at our own server too, and no place: ``early`` triggers died without one, ``passing``
    others arrived."""
    seen = at_control(make([*(cut(reset(ttl)) for ttl in ttls), *[WORKED] * passing]), cut())
    seen.routers = {1: "0.0.0.1", 2: "198.51.100.2", 3: "198.51.100.3"}
    seen.swept = [Shot(2 + i % 2, False) for i in range(early)]
    seen.swept_reactions = [(shot.ttl, NOTHING) for shot in seen.swept]
    return seen


Case = tuple[Callable[[], Seen], str, str]
CASES: dict[str, Case] = {
    "as the twins": (lambda: make([WORKED] * 3), "clean", "clean"),
    "two of three": (lambda: make([WORKED, WORKED, NOTHING]), "inconclusive", "too-little-evidence"),
    "taken, not answered": (
        lambda: make([msgspec.structs.replace(NOTHING, acknowledged=True)] * 3), "inconclusive", "no-answer",
    ),
    "reset, located": (lambda: sweep(make([cut()] * 3), 4), "interfered", "reset-below-server"),
    "reset, no place": (lambda: make([cut()] * 3), "inconclusive", "reset-may-be-the-servers"),
    "reset at the server's site": (lambda: sweep(make([cut()] * 3), 8), "inconclusive", "reset-may-be-the-servers"),
    "… and at our server": (lambda: at_control(sweep(make([cut()] * 3), 8), cut()), "interfered", "reset-below-server"),
    "reset at our server, no place": (lambda: nowhere([NEAR] * 3), "interfered", "reset-at-control-too"),
    "… with TTLs that tell nothing": (lambda: nowhere([NEAR, 30, 100]), "inconclusive", "reset-may-be-the-servers"),
    "… but triggers that die early draw none": (
        lambda: nowhere([NEAR, 30, 100], early=9), "interfered", "reset-at-control-too",
    ),
    "… so does not every one that arrives": (
        lambda: nowhere([NEAR, 30, 100], passing=3, early=9), "inconclusive", "reset-may-be-the-servers",
    ),
    "… like the server's own": (
        lambda: at_control(make([cut(reset(FAR, 0.02))] * 3), cut()), "inconclusive", "reset-may-be-the-servers",
    ),
    "reset twice": (lambda: make([cut(), cut(), WORKED]), "inconclusive", "too-little-evidence"),
    "reset below only": (lambda: sweep(make([WORKED] * 3), 4), "interfered", "reset-below-server-only"),
    "vanishes": (vanished, "interfered", "trigger-vanishes-before-server"),
    "vanishes, maybe before it left the home": (share, "inconclusive", "silence-may-be-the-servers"),
    "vanishes near the server": (lambda: vanished(8), "inconclusive", "silence-may-be-the-servers"),
    "vanishes right behind the home": (lambda: vanished(2), "inconclusive", "home-router-acts"),
    "vanishes at our server too": (
        vanished_at_control, "interfered", "trigger-vanishes-at-control-too",
    ),
    "… but later ones do not": (
        lambda: vanished_at_control(WORKED), "inconclusive", "silence-may-be-the-servers",
    ),
    "… and no router was ever asked": (
        lambda: at_control(make([NOTHING] * 3), NOTHING), "inconclusive", "silence-may-be-the-servers",
    ),
    "a page": (lambda: sweep(make([FORGED] * 3), 4, reaction=FORGED), "interfered", "answer-below-server"),
    "within the home": (lambda: sweep(make([cut()] * 3), 1), "inconclusive", "home-router-acts"),
    "closed": (lambda: before(CLOSED, CLOSED), "inconclusive", "handshake-refused"),
    "twins are cut": (lambda: before(WORKED, cut()), "inconclusive", "control-cut"),
    "twins are not answered": (lambda: before(NOTHING), "inconclusive", "control-failed"),
    "… afterwards": (without_after, "inconclusive", "control-failed"),
    "twins do not recover": (lasting, "inconclusive", "control-did-not-recover"),
}  # fmt: skip


@pytest.mark.parametrize(("run", "wanted", "rule"), CASES.values(), ids=CASES.keys())
def test_rules(run: Callable[[], Seen], wanted: str, rule: str) -> None:
    judgement = verdict(run())
    assert (judgement.verdict, judgement.rule) == (wanted, f"tcp_reset/{rule}")
    assert (judgement.interference is not None) == (wanted == "interfered")
    assert (judgement.confidence > 0) == (wanted in ("clean", "interfered"))
    assert judgement.reasons
    assert all(reason.endswith(".") for reason in judgement.reasons)


def test_a_page_is_told_by_its_title() -> None:
    judgement = verdict(sweep(make([FORGED] * 3), 4, reaction=FORGED))
    assert judgement.interference is not None
    assert judgement.interference.technique == "block_page"
    assert "“Blocked by order”" in judgement.reasons[0]


def test_forged_data_that_is_no_page_is_no_block_page() -> None:
    refused = msgspec.structs.replace(BLOCKED, payload=b"\x15\x03\x03\x00\x02\x02\x28")
    alert = msgspec.structs.replace(WORKED, data=(refused,))
    judgement = verdict(sweep(make([alert] * 3), 4, reaction=alert))
    assert judgement.interference is not None
    assert judgement.interference.technique == "tcp_reset"


def test_reasons_hold_the_numbers() -> None:
    judgement = verdict(sweep(make([cut()] * 3), 4))
    text = " ".join(judgement.reasons)
    for number in ("3 of 3 trials", f"({NEAR})", f"({FAR})", "4.0 ms", "20 ms", "6 of 6 harmless", "hop 3", "hop 4"):
        assert number in text
    assert judgement.details["contradictions"]["ttl_unlike"] == 3


def test_residual_blocking_is_told() -> None:
    seen = sweep(make([cut()] * 3), 4)
    seen.residual = [6.0]
    assert any("about 6 s" in reason for reason in verdict(seen).reasons)


def test_confidence_grows_with_what_agrees() -> None:
    few = verdict(sweep(make([cut()] * 3), 6)).confidence
    many = verdict(sweep(make([cut()] * 9), 3)).confidence
    some = verdict(sweep(make([cut()] * 3 + [WORKED] * 6), 6)).confidence
    assert some < few < many < 1
