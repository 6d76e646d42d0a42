"""TTL sweeps: from shots to a link."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from probe.measurements import Part
from probe.measurements._locate import (
    TRIAL_TTLS,
    Place,
    Shot,
    again,
    copies_ttl,
    expired_at,
    place,
    place_drop,
    placement,
    routers,
    sweep,
)
from probe.model.exchange import Exchange, Heard, Step, SynStep
from probe.model.packet import Icmp, Packet, Tcp

KNOWN = {hop: f"198.51.0.{hop}" for hop in range(2, 9)} | {1: "0.0.0.1"}


def fire(hits: Iterable[set[int]], ttls: range = range(1, 9)) -> tuple[list[Shot], list[list[int]]]:
    """Run a sweep whose n-th volley elicits at the TTLs of the n-th set; also the TTLs of each volley."""
    answers = iter(hits)
    asked: list[list[int]] = []
    now: set[int] = set()

    def make(ttl: int, _number: int) -> list[Step]:
        return [SynStep(address="203.0.113.10", port=80, ttl=ttl)]

    def read(ttl: int, exchanges: list[Exchange]) -> Shot:
        assert len(exchanges) == 1
        return Shot(ttl, ttl in now, 60)

    part: Part[list[Shot]] = sweep(ttls, make, read)
    batch = next(part)
    while True:
        asked.append([step.ttl for step in batch if isinstance(step, SynStep)])
        now = next(answers)
        try:
            batch = part.send([Exchange(step=step) for step in batch])
        except StopIteration as stop:
            return stop.value, asked


def test_a_quiet_sweep_ends_at_once() -> None:
    shots, asked = fire([set()])
    assert asked == [list(range(1, 9))]
    assert not any(shot.elicited for shot in shots)


def test_the_lowest_answer_must_come_three_times() -> None:
    shots, asked = fire([{4, 5, 6, 7, 8}, {4, 5}, {4, 5}])
    assert asked[1:] == [[2, 3, 4, 5], [2, 3, 4, 5]]
    found = place(shots, KNOWN, arrives=9)
    assert found is not None
    assert (found.clean_ttl, found.first_ttl, found.agreeing, found.sweeps) == (3, 4, 3, 3)
    assert (found.clean_hop, found.first_hop) == ("198.51.0.3", "198.51.0.4")


def test_where_the_first_sweep_lost_a_packet_later_ones_look_nearer() -> None:
    shots, _ = fire([{5, 6, 7, 8}, {4, 5}, {4, 5}, {4}])
    found = place(shots, KNOWN, arrives=9)
    assert found is not None
    assert (found.clean_ttl, found.first_ttl) == (3, 4)


def test_sweeps_end_though_no_answer_comes_three_times() -> None:
    _, asked = fire([{4}, {5}, set(), {4}, {5}, set(), {3}, {2}], range(1, 9))
    assert len(asked) == 8


def test_no_answer_no_place() -> None:
    assert place([Shot(ttl, False) for ttl in range(1, 9)], KNOWN) is None


def test_both_ends_are_named_from_one_flow_where_one_shows_them() -> None:
    shots = [Shot(4, True, 60, routers={3: "a3", 4: "a4"}), Shot(3, False, expired_at="b3"), Shot(4, True, 60)]
    found = place(shots, KNOWN, arrives=9)
    assert found is not None
    assert (found.clean_hop, found.first_hop) == ("a3", "a4")


@pytest.mark.parametrize(
    ("answers", "clean"),
    [
        ([(3, 1)], 1),  # a copy of 2, sent back at hop 2: one of 1 would have died in the home
        ([(3, 1), (4, 2), (3, 1)], 1),
        ([(5, 1), (6, 2)], 2),
        ([(3, 1), (4, 1)], 2),  # always the same TTL: no copy
        ([(3, 60), (4, 61)], 2),  # had it been copied, that of the next lower trigger would have come
        ([(3, 2), (4, 3)], 2),
    ],
)
def test_silence_proves_nothing_where_answers_could_not_have_come(answers: list[tuple[int, int]], clean: int) -> None:
    lowest = min(sent for sent, _ in answers)
    shots = [Shot(ttl, False) for ttl in range(1, lowest)] + [Shot(sent, True, got) for sent, got in answers]
    found = place(shots, KNOWN, arrives=9)
    assert found is not None
    assert (found.clean_ttl, found.first_ttl) == (clean, lowest)


def test_a_box_that_copies_ttls_is_nearer_than_it_looks() -> None:
    full = [Shot(ttl, True, ttl - 6) for ttl in TRIAL_TTLS]
    assert copies_ttl(full) == 6
    found = place([Shot(7, True, 1), Shot(8, True, 2)], KNOWN, full=full, arrives=9)
    assert found is not None
    assert (found.clean_ttl, found.first_ttl, found.copied) == (3, 4, 6)


@pytest.mark.parametrize(
    "pairs",
    [
        [(64, 56), (57, 56), (50, 56)],  # a host with a TTL of its own
        [(64, 54), (63, 53), (62, 52)],  # too close together: ways of different length do that
        [(64, 58), (64, 58), (64, 58)],  # one TTL was sent: nothing to follow
        [(64, 58), (57, 51)],  # twice is no rule
        [(64, 58), (57, 51), (50, 44), (64, 91), (57, 200)],  # random
        [(4, 60), (5, 61), (6, 62)],  # larger than what it would copy
        [],
    ],
)
def test_what_does_not_copy_ttls(pairs: list[tuple[int, int]]) -> None:
    assert copies_ttl([Shot(sent, True, got) for sent, got in pairs]) is None


def twins(quoted: Iterable[int]) -> list[Shot]:
    return [Shot(ttl, False, expired_at=f"198.51.0.{ttl}") for ttl in quoted]


def test_a_drop_lies_behind_the_last_router_that_quotes_a_trigger() -> None:
    shots = [Shot(ttl, False, expired_at=f"198.51.0.{ttl}" if ttl <= 3 else None) for ttl in range(1, 9)]
    found = place_drop(shots, twins(range(1, 9)), KNOWN, arrives=9)
    assert found is not None
    assert (found.clean_ttl, found.first_ttl, found.placement) == (3, 4, "in_path")


def test_a_drop_between_silent_routers_is_told_no_closer_than_they_allow() -> None:
    shots = [Shot(ttl, False, expired_at=f"198.51.0.{ttl}" if ttl <= 3 else None) for ttl in range(1, 9)]
    found = place_drop(shots, twins((1, 2, 3, 6, 7)), KNOWN, arrives=9)
    assert found is not None
    assert (found.clean_ttl, found.first_ttl) == (3, 6)


def test_no_router_behind_no_place() -> None:
    shots = [Shot(ttl, False, expired_at=f"198.51.0.{ttl}") for ttl in range(1, 9)]
    assert place_drop(shots, twins(range(1, 9)), KNOWN, arrives=9) is None
    assert place_drop(shots[:3], twins((1, 2, 3, 9)), KNOWN, arrives=9) is None


def test_placement() -> None:
    assert placement([Shot(5, True, expired_at="r5")], {}, 4, 9) == "on_path"
    assert placement([Shot(5, True), Shot(6, True)], KNOWN, 4, 9) == "in_path"
    assert placement([Shot(5, True)], KNOWN, 4, 9) == "unknown"
    assert placement([Shot(9, True), Shot(10, True)], {9: "x", 10: "y"}, 4, 9) == "unknown"


def test_attribution_says_between_and_never_by() -> None:
    def said(**ends: str | None) -> str:
        where = {"clean_hop": "198.51.0.3", "first_hop": "198.51.0.4"} | ends
        return Place(3, 4, where["clean_hop"], where["first_hop"], "on_path", 3, 3).location().attribution

    assert said() == "on the link between hop 3 (198.51.0.3) and hop 4 (198.51.0.4)"
    assert "hop 3 (inside the home)" in said(clean_hop="0.0.0.1")
    assert "hop 4 (which does not answer)" in said(first_hop=None)
    assert "between the probe and hop 1" in Place(0, 1, None, "x", "on_path", 3, 3).location().attribution


@pytest.mark.parametrize(("version", "kind", "found"), [(4, 11, True), (4, 3, False), (6, 3, True), (6, 1, False)])
def test_only_time_exceeded_names_a_router_on_the_way(version: int, kind: int, found: bool) -> None:
    quoted = Packet(version, "me", "there", 1, 6, 40, header=Tcp(1, 2, 3, 0, 2, 0))
    error = Packet(version, "router", "me", 60, 1, 56, header=Icmp(kind, 0, quoted=quoted))
    exchange = Exchange(step=SynStep(address="there", port=2), heard=(Heard(0.1, False, error),), sent_at=0.0)
    assert expired_at(exchange) == ("router" if found else None)


def test_routers_are_counted_once_a_shot() -> None:
    found = routers([Shot(3, False, expired_at="a"), Shot(3, False, expired_at="a", routers={3: "b", 2: "c"})])
    assert dict(found[3]) == {"a": 1, "b": 1}
    assert dict(found[2]) == {"c": 1}


def test_who_acts_on_a_share_makes_the_link_wider() -> None:
    half = [Shot(ttl, (ttl + i) % 2 == 0) for ttl in (4, 5, 6) for i in range(4)]
    found = place([*(Shot(ttl, elicited=False) for ttl in (1, 2, 2, 2, 2, 3, 3, 3)), *half], {})
    assert found is not None
    assert (found.clean_ttl, found.first_ttl) == (2, 4)  # half of three may pass by chance
    always = place([Shot(3, elicited=False), Shot(4, elicited=True), Shot(5, elicited=True)], {})
    assert always is not None
    assert (always.clean_ttl, always.first_ttl) == (3, 4)


@pytest.mark.parametrize(
    ("first", "arrives", "lucky", "ttls"),
    [
        (5, 9, False, [5, 5, 5]),
        (5, 9, True, [4, 3, 2, 4, 3, 2, 5, 5, 5, 6, 6, 6]),
        (2, 3, True, [1] * 6 + [2] * 6),  # nothing arrives that should not
        (1, 3, True, [1, 1, 1, 2, 2, 2]),
    ],
)
def test_where_luck_is_not_ruled_out_early_ones_and_later_ones_go_too(
    first: int, arrives: int, lucky: bool, ttls: list[int]
) -> None:
    assert again(first, arrives, lucky=lucky) == ttls
