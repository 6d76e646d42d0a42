"""What a home's word is, and how much it weighs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.collector.incidents.homes import (
    TOLD,
    Home,
    Stay,
    counted,
    homes_of,
    together,
    weights,
    words_of,
)
from probe.collector.incidents.model import HOUR, Sight, Stance
from tests.collector.incidents.stories import DAY, Story, at, cut

T = at("2020-01-10")


def home(*results: tuple[int, str]) -> Home:
    """(hour from T, "g" or "b") each."""
    return Home(Sight("a", T + hour * HOUR, good=what.count("g"), bad=what.count("b")) for hour, what in results)


@pytest.mark.parametrize(
    ("results", "hour", "stance"),
    [
        ([], 0, None),
        ([(0, "g")], 0, "good"),
        ([(0, "g")], -1, None),  # not yet
        ([(0, "b")], 0, "mixed"),  # one alone may be anything
        ([(0, "b"), (1, "b")], 1, "bad"),
        ([(0, "bb")], 0, "bad"),
        ([(0, "g"), (1, "b"), (2, "g")], 2, "mixed"),
        ([(0, "b"), *((h, "g") for h in range(1, 11)), (11, "b")], 11, "bad"),  # a share of calls
        ([(0, "b"), (1, "b"), (20, "g"), (25, "g")], 24, "mixed"),  # what is a day old is gone
        ([(0, "b"), (1, "b"), (20, "g"), (25, "g")], 25, "good"),
        ([(0, "b"), (24, "b")], 24, "bad"),  # who measures once a day has two words in a day and a bit
        ([(0, "b"), (24, "g"), (48, "g")], 48, "good"),
        ([(0, "g")], 71, "good"),
        ([(0, "g")], 72, None),  # an old word is none
    ],
)
def test_the_word_of_a_home(results: list[tuple[int, str]], hour: int, stance: Stance | None) -> None:
    one = home(*results)
    assert one.stance(T + hour * HOUR) == stance
    assert one.stances([T + h * HOUR for h in range(-2, hour + 1)])[-1] == stance


def test_what_says_nothing_is_no_word() -> None:
    assert Home([Sight("a", T, down=2)]).stance(T) is None


def test_probes_of_one_prefix_are_one_home() -> None:
    sights = [Sight("a", T, good=1), Sight("b", T, good=2), Sight("c", T, bad=1)]
    homes = homes_of(sights, {"a": "x", "b": "x"})
    assert {name: one.probes for name, one in homes.items()} == {"x": ("a", "b"), "c": ("c",)}
    assert homes["x"].good == [3]


EVER = 1 << 62


def stay(probe: str, prefix: str, since: int = 0, until: int = EVER) -> Stay:
    return Stay(probe, prefix, since, until)


def test_who_is_behind_one_prefix_at_the_same_time_is_one_home() -> None:
    stays = [stay("a", "x"), stay("b", "x"), stay("c", "y")]
    assert together({"a": T, "b": T + HOUR, "c": T}, stays) == {"a": "~a", "b": "~a", "c": "~c"}
    assert together({"b": T, "a": T + HOUR, "c": T}, stays) == {"a": "~b", "b": "~b", "c": "~c"}, "by the first"


@pytest.mark.parametrize(
    ("stays", "one"),
    [
        ([stay("a", "x", 0, T), stay("a", "y", T), stay("b", "x", 0, T), stay("b", "y", T)], True),  # moved together
        ([stay("a", "x", 0, T), stay("a", "y", T), stay("b", "x", T)], False),  # the pool handed it on
        ([stay("a", "x"), stay("b", "y", 0, T + 5 * HOUR), stay("b", "x", T + 5 * HOUR)], False),  # met afterwards
        ([stay("a", "x"), stay("b", "x", 0, T - 5 * HOUR), stay("b", "y", T - 5 * HOUR)], True),  # met before
        ([stay("a", "x"), stay("b", "x", 0, T - TOLD), stay("b", "y", T - TOLD)], False),  # long ago
        ([stay("a", "x"), stay("b", "y", 0, T + 59), stay("b", "x", T + 59)], True),  # within the hour
    ],
)
def test_addresses_move(stays: list[Stay], one: bool) -> None:
    found = together({"a": T - HOUR, "b": T}, stays)
    assert (found["a"] == found["b"]) is one


def test_one_probe_is_one_home_however_often_it_moves() -> None:
    stays = [stay("a", f"{n}", T + n * HOUR, T + (n + 1) * HOUR) for n in range(-50, 50)]
    assert together({"a": T}, stays) == {"a": "~a"}


def test_those_of_whom_nothing_is_known_are_one_home_unless_they_are_taken_at_their_word() -> None:
    first = {"a": T, "b": T, "c": T}
    assert together(first, [stay("a", "x")]) == {"a": "~a", "b": "~", "c": "~"}
    assert together(first, [stay("a", "x")], own=True) == {"a": "~a", "b": "b", "c": "c"}


@pytest.mark.parametrize(("names", "how"), [("a b", "probe"), ("~a ~", "prefix"), ("~a b", "mixed"), ("", "probe")])
def test_what_told_homes_apart(names: str, how: str) -> None:
    assert counted(names.split()) == how


def test_who_agrees_weighs_more_than_who_lies_or_is_new() -> None:
    story = Story(cut(("2020-01-10", "2020-01-20")), at("2020-01-01"), at("2020-02-01"), homes=15, liars=3, miss=0)
    homes = homes_of(story.sights(), {})
    found = weights(words_of(homes))
    always_bad, always_good, by_chance = (found[f"home{i}"] for i in range(3))
    honest = [found[f"home{i}"] for i in range(3, 15)]
    new = weights(words_of({"new": home((0, "g"))}))["new"]
    assert max(always_bad, by_chance) < new < min(honest)
    assert by_chance < 0.25
    assert always_good < min(honest)
    assert new == pytest.approx(0.64)


def test_two_homes_that_disagree_are_worth_the_same() -> None:
    hours = range(0, 10 * DAY, HOUR)
    homes = {"a": Home(Sight("a", h, good=1) for h in hours), "b": Home(Sight("b", h, bad=1) for h in hours)}
    found = weights(words_of(homes))
    assert found["a"] == found["b"]


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", "g", "b", "gb", "bb"])), max_size=12),
                min_size=1, max_size=5))  # fmt: skip
def test_a_home_that_saw_some_hours_otherwise_is_as_if_it_was_made_anew(
    portions: list[list[tuple[int, str]]],
) -> None:
    rows: dict[int, list[Sight]] = {}
    one = Home(())
    for portion in portions:
        new = {
            T + hour * HOUR: [
                Sight(f"p{len(what)}", T + hour * HOUR, what.count("g"), what.count("b"), down=not what)
            ] for hour, what in portion
        }  # fmt: skip
        rows |= new
        one = one.replaced(new)
        whole = Home(sight for some in rows.values() for sight in some)
        assert (one.hours, one.bad, one.good, one.sights) == (whole.hours, whole.bad, whole.good, whole.sights)
        assert {*one.probes} >= {*whole.probes}
        marks = range(len(whole.hours) + 1)
        assert [one.tally(a, b) for a in marks for b in marks] == [whole.tally(a, b) for a in marks for b in marks]


def test_what_follows_from_the_older_hours_stays_known() -> None:
    one = home((0, "g"), (1, "b"), (5, "b"))
    one.settled |= {"two": (2, "of two"), "all": (3, "of all")}
    later = one.replaced({T + 5 * HOUR: [Sight("a", T + 5 * HOUR, good=1)]})
    assert later.settled == {"two": (2, "of two")}
    assert one.replaced({T + 9 * HOUR: [Sight("a", T + 9 * HOUR, good=1)]}).settled == one.settled
    assert one.replaced({T - HOUR: [Sight("a", T - HOUR, good=1)]}).settled == {}
