"""The physics behind every accusation: chance, TTLs that fall short, the target's own site, the home."""

from __future__ import annotations

from itertools import combinations

import pytest

from probe.measurements._locate import Place, Shot
from probe.measurements._proof import (
    RARE,
    acts_at_home,
    ahead,
    by_chance,
    came_farther,
    home_depth,
    may_be_home,
    proven_short,
    spared_by_luck,
    tally_below,
)


def place(first: int, clean: int | None = None, copied: int | None = None) -> Place:
    return Place(first - 1 if clean is None else clean, first, None, None, "unknown", 3, 3, copied)


@pytest.mark.parametrize(
    ("hits", "tries", "twin_hits", "twin_tries"), [(3, 3, 0, 3), (4, 5, 1, 4), (2, 4, 2, 3), (0, 3, 2, 2)]
)
def test_chance_is_what_counting_all_ways_gives(hits: int, tries: int, twin_hits: int, twin_tries: int) -> None:
    ways = list(combinations(range(tries + twin_tries), hits + twin_hits))
    as_good = sum(sum(one < tries for one in way) >= hits for way in ways)
    assert by_chance(hits, tries, twin_hits, twin_tries) == pytest.approx(as_good / len(ways))


def test_seven_against_seven_is_beyond_chance_and_six_is_not() -> None:
    assert by_chance(7, 7, 0, 7) < RARE < by_chance(6, 6, 0, 6)
    assert by_chance(3, 3, 0, 0) == 1.0


def test_routers_prove_that_triggers_died_before_the_target() -> None:
    own = [Shot(4, True, routers={4: "r4"}), Shot(5, True, expired_at="r5"), Shot(6, True, routers={6: "r6"})]
    assert proven_short(own, [], 9)
    assert not proven_short(own[:2], [], 9)
    assert not proven_short(own, [], 5)  # what may have arrived does not count
    assert not proven_short(own, [], None)
    others = [Shot(ttl, True, routers={ttl - 1: "r"}) for ttl in (4, 5, 6)]
    assert not proven_short(others, [], 9)  # a router before it proves nothing


def test_without_routers_the_twins_must_tell() -> None:
    shots = [Shot(8, True)] * 7
    assert proven_short(shots, [(8, False)] * 7, 9)
    assert not proven_short(shots, [(8, False)] * 3, 9)
    assert not proven_short(shots, [(7, False)] * 7, 9)  # twins below the place say nothing about it
    assert not proven_short(shots, [*[(8, False)] * 6, (8, True)], 9)
    assert not proven_short(shots, [*[(8, False)] * 7, (9, True), (9, False)], 9)  # twins that arrive fare no better
    assert not proven_short([*shots, *[Shot(8, False)] * 7], [(8, False)] * 20, 9)  # half: a shorter way for some


def test_the_last_links_are_left_to_the_target() -> None:
    assert ahead(place(7), 9, 8)
    assert not ahead(place(8), 9, 8)
    assert ahead(place(8), 9, 8, margin=1)
    assert not ahead(place(9), 9, 8, margin=1)
    assert not ahead(None, 9, 8)
    assert not ahead(place(3), None, 8)


def test_a_box_that_copies_ttls_is_compared_with_one_at_the_target() -> None:
    at_target, back = 16, 8  # target at hop 9, eight routers there and back
    assert not ahead(place(9, copied=at_target), 9, back)
    assert ahead(place(7, copied=12), 9, back)
    assert not ahead(place(7, copied=12), 9, 4)  # the way back is short: this is what the target's own box would show
    assert not ahead(place(7, copied=13), 9, 40)  # an odd initial TTL does not make the target farther


@pytest.mark.parametrize(
    ("routers", "depth"),
    [
        ({}, 1),
        ({1: "0.0.0.1"}, 1),
        ({1: "198.51.0.1"}, 0),
        ({2: "198.51.0.2"}, 1),
        ({1: "0.0.0.1", 2: "0.0.0.2", 3: "x"}, 2),
    ],
)
def test_depth_of_the_home(routers: dict[int, str], depth: int) -> None:
    assert home_depth(routers) == depth


@pytest.mark.parametrize(
    ("routers", "depth"),
    [({}, 2), ({1: "198.51.0.1"}, 0), ({1: "0.0.0.1", 2: "x"}, 1), ({1: "0.0.0.1", 3: "x"}, 2)],
)
def test_a_silent_router_behind_the_home_may_be_its_second(routers: dict[int, str], depth: int) -> None:
    assert may_be_home(routers) == depth


HOME = {1: "0.0.0.1", 2: "198.51.0.2"}


@pytest.mark.parametrize(
    ("shots", "where", "routers", "dropping", "home"),
    [
        ([Shot(1, True, 64)], place(1), HOME, False, True),
        ([Shot(1, True, 64)], place(1), {1: "198.51.0.1"}, False, False),  # no router of the home before it
        ([Shot(2, True, 64)], place(2), HOME, False, True),  # nobody counted its TTL down
        ([Shot(2, True, 63)], place(2), HOME, False, False),  # the home's router did
        ([Shot(2, True, 64), Shot(3, True, 63), Shot(4, True, 63)], place(2), HOME, False, False),
        ([Shot(3, True, 64)] * 3, place(3), HOME, False, True),  # however far the place seems, for loss
        ([Shot(3, True, 62)] * 3, place(3), HOME, False, False),
        ([Shot(2, True, 64)], place(2, copied=2), HOME, False, False),
        ([Shot(2, False)], place(2), HOME, True, True),  # silence behind the home's router: who knows
        ([Shot(4, False)], place(4, clean=1), HOME, True, True),
        ([Shot(3, False)], place(3), HOME, True, False),
        # the home's second router shows itself to a trigger only
        ([Shot(3, True, 63), Shot(2, False, None, "0.0.0.2")], place(3), {1: "0.0.0.1"}, False, True),
        ([Shot(2, True, 200)] * 3, place(2), HOME, False, True),  # a TTL of its own choice tells nothing
        ([Shot(2, True, 56)] * 3, place(2), HOME, False, True),  # nor does one that is copied from the server's packets
        ([Shot(3, True, 200)] * 3, place(3), HOME, False, False),
        ([Shot(2, True, 62)] * 3, place(2), HOME, False, False),  # the way back may be longer by one
        # a silent router right behind the home's may be a second one of it
        ([Shot(2, True, 63)] * 3, place(2), {1: "0.0.0.1"}, False, True),
        ([Shot(3, True, 63)] * 3, place(3), {1: "0.0.0.1", 3: "x"}, False, True),
        ([Shot(3, True, 62)] * 3, place(3), {1: "0.0.0.1", 3: "x"}, False, False),
        ([Shot(3, False)] * 3, place(3), {1: "0.0.0.1", 3: "x"}, True, True),
        ([Shot(4, False)] * 3, place(4), {1: "0.0.0.1", 3: "x"}, True, False),
        ([], None, HOME, False, False),
    ],
)
def test_what_may_be_the_homes_own_doing(
    shots: list[Shot], where: Place | None, routers: dict[int, str], dropping: bool, home: bool
) -> None:
    assert acts_at_home(shots, where, routers, dropping=dropping) is home


def test_without_a_place_only_how_far_the_answers_came_tells() -> None:
    home = {1: "0.0.0.1", 2: "198.51.0.2"}
    assert acts_at_home([Shot(64, True, 64), Shot(57, True, 64)], None, home)
    assert not acts_at_home([Shot(64, True, 62), Shot(57, True, 62)], None, home)
    assert not acts_at_home([Shot(64, False)], None, home)


def test_what_can_not_have_arrived() -> None:
    shots = [(2, False), (3, True), (3, False), (4, True), (9, True)]
    assert tally_below(shots, 9) == (2, 3)
    assert tally_below(shots, 3) == (0, 0)
    assert tally_below(shots, None) == (0, 0)
    assert tally_below(shots, 256) == (3, 4)


def test_who_loses_a_share_of_all_lets_none_come_farther() -> None:
    assert came_farther([True] * 8, [False] * 9, RARE / 10)
    assert not came_farther([True] * 8, [False] * 8, RARE / 10)
    assert not came_farther([True, False] * 4, [False] * 8, RARE / 10)
    assert not came_farther([], [False] * 20, RARE / 10)


ODD = (30, 100, 200)  # TTLs that no host begins with, so that they tell no distance


@pytest.mark.parametrize(
    ("behind", "ttls", "early", "lucky"),
    [
        ([True] * 3, ODD, 0, False),  # whoever acts on all that reach him spared none of those that do not
        ([True, False] * 3, (61,), 3, False),  # their TTL says that they come from there
        ([True, False] * 3, (60, 61, 62), 3, False),
        ([True, False] * 3, (54,), 3, True),  # their TTL may be copied from the server's
        ([True, False] * 3, ODD, 8, True),
        ([True] * 9 + [False], ODD, 6, True),
        ([True] * 9 + [False], ODD, 12, False),
        ([True, False] * 12, ODD, 24, False),
    ],
)
def test_a_share_of_triggers_answered_behind_a_place_may_be_luck(
    behind: list[bool], ttls: tuple[int, ...], early: int, lucky: bool
) -> None:
    shots = [Shot(5, hit, ttls[i % len(ttls)] if hit else None) for i, hit in enumerate(behind)]
    shots += [Shot(3 + i % 2, False) for i in range(early)]
    assert spared_by_luck(shots, place(5), HOME) is lucky
    assert acts_at_home(shots, place(5), HOME) is lucky
    assert spared_by_luck(shots, place(5), HOME, back=4) is (lucky or (not all(behind) and early == 3))
    assert not spared_by_luck(shots, place(5, copied=8), HOME)
    assert not spared_by_luck(shots, None, HOME)
