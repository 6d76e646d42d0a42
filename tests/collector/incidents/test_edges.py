"""The ends of an incident: which results hold them."""

from __future__ import annotations

from probe.collector.incidents.edges import began, ended, run_end, run_start
from probe.collector.incidents.homes import Home
from probe.collector.incidents.model import HOUR, Bounds, Sight
from tests.collector.incidents.stories import at, sights_of

T = at("2020-01-10")
MINUTE = HOUR // 60


def home(word: str, minute: int = 0) -> Home:
    """A result an hour from T on, at that minute: g or b, "." none."""
    kinds = {"g": "good", "b": "bad"}
    return Home(sights_of("a", [(T + h * HOUR + minute * MINUTE, kinds.get(w, "")) for h, w in enumerate(word)]))  # type: ignore[misc]


def hour(number: int, minute: int = 0) -> int:
    return T + number * HOUR + minute * MINUTE


def test_a_run_begins_with_the_first_bad_result_of_the_last_day_of_them() -> None:
    assert run_start(home("gggbbb", 7), hour(5)) == (hour(3, 7), hour(2, 7))
    assert run_start(home("bbb"), hour(2)) == (hour(0), 0)
    assert run_start(home("gbggggbb"), hour(7)) == (hour(1), hour(0))  # a share of calls
    assert run_start(home("b" + "g" * 30 + "bb"), hour(32)) == (hour(31), hour(30))  # long ago is another run
    assert run_start(home("b" + "." * 40 + "bb"), hour(42)) == (hour(0), 0)  # nothing else was heard in between


def test_a_run_ends_with_the_first_good_result_after_the_last_bad_one() -> None:
    assert run_end(home("gbbgg", 7), hour(4)) == (hour(2, 7), hour(3, 7))
    assert run_end(home("gbb"), hour(2)) == (hour(2), 0)


def test_one_home_that_has_always_said_so_does_not_date_it() -> None:
    homes = {"liar": home("b" * 9)} | {f"home{i}": home("ggggggbbb", i) for i in range(4)}
    assert began(homes, dict.fromkeys(homes, 1.0), hour(8)) == Bounds(hour(5, 3), hour(6, 0))


def test_nor_do_those_that_never_say_so() -> None:
    homes = {"liar": home("g" * 9, 59)} | {f"home{i}": home("ggggggbbb", i) for i in range(4)}
    assert began(homes, dict.fromkeys(homes, 1.0), hour(8)) == Bounds(hour(5, 3), hour(6, 1))


def test_of_those_that_turned_the_latest_quarter_does_not_date_the_end() -> None:
    homes = {f"home{i}": home("bbb" + "g" * 30, i) for i in range(4)} | {"broken": home("bbbggggb" + "g" * 30)}
    assert ended(homes, dict.fromkeys(homes, 1.0), T, hour(32)) == Bounds(hour(2, 3), hour(3, 0))


def test_where_those_that_saw_it_fell_silent_others_tell_that_it_is_over() -> None:
    homes = {f"home{i}": home("bbb", i) for i in range(3)} | {f"late{i}": home("." * 90 + "gg", i) for i in (7, 8)}
    assert ended(homes, dict.fromkeys(homes, 1.0), T, hour(91)) == Bounds(hour(2, 2), hour(90, 7))


def test_who_sees_it_again_later_is_not_asked_for_this_one() -> None:
    homes = {"saw": home("bb" + "g" * 40), "later": home("gg" + "g" * 40 + "bb")}
    assert ended(homes, dict.fromkeys(homes, 1.0), T, hour(30)) == Bounds(hour(1), hour(2))


def test_a_start_that_is_known_is_told_anew_when_something_older_comes() -> None:
    one, opened = home("gbb"), hour(5)
    assert run_start(one, opened) == (hour(1), hour(0))
    for word in (".......b", "......b", ".....b", "....g", "...g", "b"):  # after that hour, at it, and before
        (new,) = home(word).sights.values()
        one = one.replaced({new[0].hour: new})
        whole = Home(sight for some in one.sights.values() for sight in some)
        assert run_start(one, opened) == run_start(whole, opened)
    kept = one.replaced({hour(9): [Sight("a", hour(9), good=1)]})
    assert kept.settled == one.settled
    assert len(kept.settled) == 1
