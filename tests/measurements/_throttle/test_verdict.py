"""When slow is throttled, and how it is said."""

from __future__ import annotations

import pytest

from probe.measurements._locate import Place
from probe.measurements._throttle.ask import Kind, Moved
from probe.measurements._throttle.verdict import Compared, Located, accuse, kilobits, said, tallies
from probe.model.finding import Tally, Target

SLOW, FAST = [16_000.0 + n for n in range(7)], [500_000.0 + n for n in range(7)]
TARGET = Target("banned.example", "banned.example", "203.0.113.190", 443)


def one(kind: Kind, speed: float | None, ttl: int = 0) -> Moved:
    return Moved(kind=kind, direction="down", speed=speed, bytes=1000, seconds=3.0, ttl=ttl)


def test_throttled_is_beyond_chance_twice_and_twice_again() -> None:
    assert Compared("down", SLOW, FAST, 3).confirmed
    assert not Compared("down", SLOW[:6], FAST[:6], 3).confirmed  # 1 in 924
    assert not Compared("down", [400_000.0 + n for n in range(7)], FAST, 3).confirmed  # beyond chance, but not twice
    gone = [*SLOW[:4], *(300_000.0 + n for n in range(4))]
    assert not Compared("down", gone, [*FAST, 1e6], 4).confirmed  # the second round alone says less


def test_the_cut_lies_between() -> None:
    compared = Compared("down", SLOW, FAST, 3)
    assert max(SLOW) < compared.cut < min(FAST)
    assert Compared("down", [0.0, 0.0], [0.0], 1).cut == 1


def test_tallies_count_what_agrees() -> None:
    moved = [one("name", 10.0), one("name", None), one("twin", 900.0), one("harmless", 5.0), one("decoy", 5.0, 3)]
    assert tallies(moved, 100.0) == (Tally(2, 1), Tally(2, 1))
    assert tallies(moved, None) == (Tally(2, 1), Tally(2, 2))


def test_an_accusation_names_rate_and_place() -> None:
    moved = [*(one("name", speed) for speed in SLOW), *(one("twin", speed) for speed in FAST),
             *(one("harmless", 400_000.0) for _ in range(5)), *(one("decoy", 400_000.0, 3) for _ in range(3)),
             *(one("decoy", 16_000.0, 4) for _ in range(3))]  # fmt: skip
    place = Place(3, 4, "198.51.0.3", None, "in_path", 3, 3)
    located = Located(place=place, arrives=9, home=False, ahead=True)
    found = accuse("name", TARGET, "banned.example", Compared("down", SLOW, FAST, 3), located, moved)
    assert (found.verdict, found.rule) == ("interfered", "throttling/name")
    assert found.details["plateau"] == {"kbit_s": 128.0, "even": True}
    assert "128 kbit/s, an even rate" in found.reasons[0]
    assert "3,432" in found.reasons[0]
    assert found.confidence == pytest.approx(0.876, abs=0.01)
    assert found.trials == Tally(7, 7)
    assert found.controls == Tally(12, 12)


def test_who_accuses_nobody_is_sure_of_nothing_unless_clean() -> None:
    moved = [one("name", 10.0), one("twin", 10.0)]
    doubt, clean = (said(rule, "why", TARGET, moved, ()) for rule in ("mixed", "alike"))
    assert (doubt.verdict, doubt.confidence, doubt.interference) == ("inconclusive", 0.0, None)
    assert (clean.verdict, clean.confidence > 0) == ("clean", True)


@pytest.mark.parametrize(("speed", "words"), [(16_000, "128 kbit/s"), (575_000, "4.6 Mbit/s"), (10, "0 kbit/s")])
def test_rates_in_words(speed: float, words: str) -> None:
    assert kilobits(speed) == words
