"""What DNS answers show, before anything is judged."""

from __future__ import annotations

from probe.measurements._dns.queries import Reply
from probe.measurements._dns.seen import Seen
from probe.measurements._locate import Shot, place
from probe.model.baseline import Usual

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


def test_what_reaches_nobody_and_is_answered_counts() -> None:
    assert swept(heard([TWO] * 3), 4).below() == (15, 15)  # TTLs 4 to 8, three times
    assert swept(heard([[said()]] * 3), 9).below() == (0, 0)
    at_silent = swept(heard([TWO] * 3), 4)
    at_silent.at_silent = True
    assert at_silent.below() == (21, 21)


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
    assert not heard([[said()], [], [said()]]).settled(3)
    assert heard([[], [], []]).settled(3)
    assert not heard([[said()]] * 3, [[said()], [], []]).settled(3)


def test_answers_from_next_door_are_looked_into() -> None:
    seen = heard([[said(ttl=64)]] * 3)
    assert not seen.suspicious() or seen.odd_answers()
    seen.resolver_controls = [[[said(ttl=64)]] * 3]
    assert seen.suspicious()


def test_what_was_usual_before_is_not_odd() -> None:
    seen = heard([])
    far, quick = said(ttl=50), said(after=0.009)
    assert (seen.odd(far), seen.odd(quick)) == (True, True)
    seen.usual = Usual(asked=9, answered=9, ttls={FAR: 5, 50: 4}, least=0.01, typical=0.02)
    assert (seen.odd(far), seen.odd(quick)) == (False, False)
    assert seen.odd(said(ttl=NEAR))
