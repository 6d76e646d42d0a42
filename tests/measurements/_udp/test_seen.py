from __future__ import annotations

from probe.measurements._locate import Place, Shot
from probe.measurements._udp.seen import AtEnd, End, Seen
from probe.measurements._udp.triggers import Reaction, Trigger

YES, NO = Reaction(sent=True, after=0.02, ttl=56), Reaction(sent=True)
REJECTED = Reaction(sent=True, rejected="198.51.100.4")


def at(before: list[Reaction], triggers: list[Reaction], address: str = "203.0.113.190") -> AtEnd:
    found = AtEnd(End(address, 443, ours=True))
    found.before += before
    found.triggers += triggers
    return found


def seen(*ends: AtEnd) -> Seen:
    found = Seen(Trigger("quic", "banned.example", 443), "fine.example", [])
    found.ends += ends
    return found


def test_a_far_end_lives_if_half_of_its_twins_are_answered() -> None:
    assert not at([], []).lives
    assert at([YES, NO], []).lives
    assert not at([YES, NO, NO], []).lives


def test_struck_only_beyond_chance() -> None:
    assert at([YES] * 9, [NO] * 6).hit
    assert not at([YES] * 4, [NO] * 4).hit  # 1 in 70
    assert not at([YES] * 9 + [NO] * 5, [NO] * 5 + [YES] * 4).hit
    assert at([YES] * 7, [NO] * 7).chance < 0.0005
    assert at([YES] * 3, [YES] * 3).chance == 1.0


def test_rejections_count_only_where_twins_have_none() -> None:
    assert at([YES] * 3, [REJECTED] * 3).rejected == 3
    assert at([YES, REJECTED], [REJECTED] * 3).rejected == 0


def test_when_to_go_on_and_when_to_sweep() -> None:
    assert seen(at([YES] * 3, [YES] * 3)).settled()
    assert not seen(at([YES] * 3, [YES, YES, NO])).settled()
    assert not seen(at([YES] * 9, [NO] * 5)).settled()
    assert seen(at([YES] * 9, [NO] * 9)).settled()
    assert not seen(at([YES] * 3, [YES] * 3), at([YES] * 3, [NO] * 3)).settled()
    assert not seen(at([YES] * 3, [YES, YES, NO])).suspicious()
    assert seen(at([YES] * 3, [NO] * 3)).suspicious()
    assert not seen(at([NO] * 3, [NO] * 3)).suspicious()  # nothing lives there


def test_times_are_the_lines_own() -> None:
    slow = Reaction(sent=True, after=0.6, ttl=50)
    nothing = seen(at([NO], []))
    assert (nothing.round_trip(), nothing.patience(), nothing.near()) == (0.1, 1.5, 0.5)
    found = seen(at([YES, slow], []))
    assert (found.round_trip(), found.near()) == (0.02, 0.4)
    assert found.patience() == 3 * 0.6


def test_where() -> None:
    found = seen(at([YES] * 9, [NO] * 6))
    found.swept_at = found.ends[0]
    found.routers = {1: "0.0.0.1", 2: "198.51.100.2", 3: "198.51.100.3"}
    hops = [(t, f"198.51.100.{t}") for t in range(1, 9)]
    found.swept = [Shot(t, False, None, router if t < 4 else None, {t: router}) for t, router in hops]
    found.twin_shots = [Shot(t, t == 9, None, f"198.51.100.{t}" if t < 9 else None, {}) for t in range(1, 10)]
    assert found.arrives == 9
    assert found.back() == 8
    assert found.depth() == 1
    found.place = Place(3, 4, "198.51.100.3", "198.51.100.4", "in_path", 5, 5)
    assert (found.last_quoted, found.early_ttls()) == (3, [2, 3])
    again = [s for s in found.swept if s.ttl in (2, 3, 4, 5)] * 6
    found.swept += again
    assert not found.leave_home()  # these chose the place
    found.fresh = again[:8]
    assert not found.leave_home()  # four early ones say little
    found.fresh = again
    assert found.leave_home()
    found.fresh, found.beyond = [s for s in again if s.ttl < 4], [NO] * 9
    assert found.leave_home()  # 12 of 12 are reported early, of those that go all the way none is answered
    found.beyond = [NO, YES] * 6
    assert not found.leave_home()
    found.fresh = [Shot(s.ttl, False, None, s.expired_at, {}) for s in again]
    found.beyond = []
    assert not found.leave_home()  # the late ones' own routers are hidden: they may have passed unseen
    found.beyond = [NO] * 9
    assert found.leave_home()
    found.fresh = [s for s in found.fresh if s.expired_at is None or s.ttl == 2]
    assert not found.leave_home()  # six early ones say little
    assert found.ahead()
    found.place = Place(7, 8, None, None, "in_path", 5, 5)
    assert not found.ahead()
    found.ends.append(at([YES] * 9, [NO] * 6, "203.0.113.10"))
    assert found.ahead()  # another far end is struck as well


def test_a_filter_of_the_home_that_lets_some_pass_is_no_operator() -> None:
    found = seen(at([YES] * 9, [NO] * 7 + [YES] * 3))
    found.routers = {1: "0.0.0.1"}
    for i in range(12):  # a third of them pass, and are reported by routers 2 to 5
        ttl = 2 + i % 8
        dies = f"198.51.100.{ttl}" if i % 3 == 0 and ttl < 6 else None
        found.swept.append(Shot(ttl, False, None, dies, {ttl: f"198.51.100.{ttl}"}))
    found.fresh, found.beyond = list(found.swept), [NO, NO, YES] * 5
    found.place = Place(5, 6, None, None, "in_path", 5, 5)
    assert not found.leave_home()


def test_a_router_of_the_home_that_rejects() -> None:
    assert seen(at([YES] * 3, [Reaction(sent=True, rejected="0.0.0.1")] * 3)).rejected_at_home()
    assert not seen(at([YES] * 3, [REJECTED] * 3)).rejected_at_home()
