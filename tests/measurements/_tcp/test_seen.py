"""Signs in what a TCP trigger's protocol has heard."""

from __future__ import annotations

import msgspec
import pytest

from probe.measurements._locate import Shot, place
from probe.measurements._tcp.seen import Seen, contradicts_itself, data_behind_reset
from probe.measurements._tcp.triggers import Reaction, Segment, Trigger
from probe.model.baseline import Usual

FAR, NEAR = 56, 61
PAGE = Segment(0.02, FAR, 1, 101, 0, b"HTTP/1.1 200 OK\r\n\r\n")
NOTHING = Reaction(True, "", True, 0.02, FAR, (), (), (), False, None, 101)
WORKED = msgspec.structs.replace(NOTHING, data=(PAGE,), acknowledged=True)


def reset(ttl: int = NEAR, after: float = 0.004, sequence: int = 101) -> Segment:
    return Segment(after, ttl, 2, sequence, 0)


def cut(*resets: Segment, data: tuple[Segment, ...] = ()) -> Reaction:
    return msgspec.structs.replace(NOTHING, resets=resets or (reset(),), data=data)


def dead(hop: int) -> Reaction:
    return msgspec.structs.replace(NOTHING, expired_at=f"198.51.0.{hop}")


def make(trials: list[Reaction] | None = None) -> Seen:
    """Three twins that worked, and these trials."""
    seen = Seen(Trigger("http", "banned.example", 80), "203.0.113.10", "good.example", "203.0.113.180")
    seen.before, seen.after = [WORKED] * 3, [WORKED] * 3
    seen.trials = trials or []
    first = [(*r.resets, *r.data)[0].ttl if r.elicited else None for r in seen.trials]
    seen.full = [Shot(64 - i % 3, ttl is not None, ttl) for i, ttl in enumerate(first)]
    return seen


def sweep(seen: Seen, first: int, arrives: int = 9, reaction: Reaction | None = None, *, proofs: bool = True) -> Seen:
    """Three sweeps in which triggers draw ``reaction`` from TTL ``first``; twins arrive from TTL ``arrives``."""
    hit = reaction or cut()
    for ttl in list(range(1, arrives)) * 3:
        r = hit if ttl >= first else dead(ttl)
        seen.swept_reactions.append((ttl, r))
        own = {ttl: f"198.51.0.{ttl}"} if proofs else {}
        events = (*r.resets, *r.data)
        seen.swept.append(Shot(ttl, r.elicited, events[0].ttl if events else None, r.expired_at, own))
    for ttl in range(1, arrives + 2):
        twin = WORKED if ttl >= arrives else dead(ttl)
        seen.swept_twins.append((ttl, twin))
        seen.twin_shots.append(Shot(ttl, twin.elicited, None, twin.expired_at, {ttl: "r"} if ttl < arrives else {}))
        if ttl < arrives:
            seen.routers[ttl] = "0.0.0.1" if ttl == 1 else f"198.51.0.{ttl}"
    seen.place = place(seen.telling(), seen.routers, full=seen.odd_full(), arrives=seen.arrives)
    return seen


def test_the_lines_own_measure() -> None:
    seen = make()
    assert seen.least_synack_ttl() == FAR
    assert seen.round_trip() == pytest.approx(0.02)
    assert seen.jitter() == 0
    assert not seen.unlike(WORKED, reset(FAR + 1))
    assert seen.unlike(WORKED, reset(FAR + 2))
    seen.before = [msgspec.structs.replace(WORKED, data=(msgspec.structs.replace(PAGE, ttl=FAR - 3),))] * 3
    assert seen.jitter() == 3
    assert not seen.unlike(WORKED, reset(FAR + 4))


def test_waiting_times_follow_the_line() -> None:
    seen = make()
    assert (seen.near(), seen.patience()) == (0.3, 1.5)
    slow = msgspec.structs.replace(WORKED, round_trip=0.3, data=(msgspec.structs.replace(PAGE, after=1.6),))
    seen.before = [slow] * 3
    assert seen.near() == pytest.approx(1.5)
    assert seen.patience() == pytest.approx(4.8)
    assert seen.linger() == pytest.approx(0.65)


def test_signs_are_counted() -> None:
    forged = msgspec.structs.replace(WORKED, data=(msgspec.structs.replace(PAGE, ttl=NEAR),))
    seen = make([cut(), WORKED, NOTHING, forged])
    assert (seen.cut(), seen.silent(), seen.spoke(), seen.odd_spoken()) == (1, 1, 2, 1)
    assert seen.suspicious()
    assert not seen.settled(3)
    assert make([cut()] * 3).settled(3)
    assert make([WORKED] * 3).settled(3)
    assert not make([WORKED] * 3).suspicious()


def test_physical_contradictions() -> None:
    late = msgspec.structs.replace(PAGE, after=0.03)
    found = make([cut(reset(), reset(sequence=1561), data=(late,)), cut(reset(FAR, 0.02)), WORKED]).contradictions()
    assert found == {"ttl_unlike": 1, "sooner_than_round_trip": 1, "data_behind_reset": 1, "stepped_sequences": 1}


def test_data_behind_a_reset_counts_only_if_it_is_later_in_time_and_in_sequence() -> None:
    def after(at: float) -> Segment:
        return msgspec.structs.replace(PAGE, after=at)

    assert data_behind_reset(cut(reset(after=0.01), data=(after(0.02),)))
    assert not data_behind_reset(cut(reset(after=0.03), data=(after(0.02),)))
    assert not data_behind_reset(cut(reset(after=0.01, sequence=500), data=(after(0.02),)))  # sent before it, overtaken


def test_a_stream_that_contradicts_itself() -> None:
    other = msgspec.structs.replace(PAGE, payload=b"HTTP/1.1 403 No\r\n\r\n")
    tail = msgspec.structs.replace(PAGE, sequence=PAGE.sequence + 9, payload=PAGE.payload[9:])
    assert contradicts_itself(msgspec.structs.replace(WORKED, data=(PAGE, other)))
    assert not contradicts_itself(msgspec.structs.replace(WORKED, data=(PAGE, PAGE, tail)))
    assert contradicts_itself(msgspec.structs.replace(WORKED, data=(other, tail)))


def test_what_arrives_is_told_by_twins_of_sweep_and_trials() -> None:
    seen = sweep(make([cut()] * 3), 4)
    assert seen.arrives == 9
    seen.short = [(8, cut(), WORKED)]
    assert seen.arrives == 8
    assert make().arrives is None


def test_below_counts_nothing_where_twins_draw_answers_too() -> None:
    seen = sweep(make([cut()] * 3), 4)
    assert (len(seen.below()), seen.tried_below()) == (15, 15)
    seen.swept_twins.append((5, cut()))
    assert seen.below() == []
    assert not seen.short_of_target()


def test_short_of_the_target_takes_proof() -> None:
    assert sweep(make([cut()] * 3), 4).short_of_target()
    assert not sweep(make([cut()] * 3), 8, proofs=False).short_of_target()  # three answers against one twin: chance
    assert sweep(make([cut()] * 3), 4, proofs=False).short_of_target()  # fifteen against five twins: not chance
    assert not sweep(make([cut()] * 3), 9).short_of_target()


def test_a_server_that_answers_at_its_distance_tells_no_place() -> None:
    seen = sweep(make([WORKED] * 3), 9)
    seen.swept.append(Shot(9, True, FAR))
    seen.swept_reactions.append((9, WORKED))
    assert [s.ttl for s in seen.telling() if s.elicited] == []


def test_our_own_server_widens_the_claim_by_a_link() -> None:
    seen = sweep(make([cut()] * 3), 8)
    assert not seen.ahead("cut", 3)
    seen.control_trials, seen.control_twins = [cut()] * 3, [WORKED] * 3
    assert seen.control_hits("cut") == 3
    assert seen.ahead("cut", 3)
    seen.control_twins = [WORKED, WORKED, cut()]
    assert seen.control_hits("cut") == 0
    seen.control_twins = [NOTHING] * 3
    assert seen.control_hits("cut") == 0


def test_what_was_usual_before_makes_careful_and_patient() -> None:
    seen = make([cut(reset(ttl=60, after=0.009))])
    assert (seen.jitter(), seen.patience()) == (0, 1.5)
    assert seen.contradictions()["ttl_unlike"] == 1
    assert seen.contradictions()["sooner_than_round_trip"] == 1
    seen.usual = Usual(asked=9, answered=9, ttls={56: 5, 60: 4}, least=0.01, typical=2.0, deviation=0.25)
    assert (seen.jitter(), seen.patience()) == (4, 3.0)
    assert seen.contradictions()["sooner_than_round_trip"] == 0
