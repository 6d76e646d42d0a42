"""What failed for everybody is told as if it were told anew, in whatever order and portions it comes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.collector.incidents.follow_outage import FollowOutage
from probe.collector.incidents.model import HOUR
from probe.collector.incidents.retold import failing_hours, first_hours

Row = tuple[str, int, str, int]
CONTROL = {"p-control"}
PROBES = ["p-control", *(f"p{number}" for number in range(5))]
ROWS = st.tuples(
    st.sampled_from(["DZ", "DZ", "TN"]), (st.integers(1, 60) | st.integers(1, 300)).map(lambda hour: hour * HOUR),
    st.sampled_from(PROBES), st.integers(0, 2),
)  # fmt: skip
NAMES = st.dictionaries(st.sampled_from(PROBES), st.sampled_from(["~a", "~b"]), max_size=4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(ROWS, max_size=40), NAMES), min_size=1, max_size=6))
def test_in_any_order_and_portions(portions: list[tuple[list[Row], dict[str, str]]]) -> None:
    follow, known = FollowOutage("DZ", CONTROL), dict[tuple[str, int, str], int]()
    for rows, names in portions:
        for country, hour, probe, worst in rows:  # as a roll-up gives them: it is only ever added to
            known[country, hour, probe] = max(worst, known.get((country, hour, probe), 0))
        follow.see([(*row[:3], known[row[0], row[1], row[2]]) for row in rows])
        whole = [(*key, worst) for key, worst in known.items()]
        assert follow.failing(names) == failing_hours(whole, "DZ", CONTROL, names)
        assert follow.first == first_hours(whole, CONTROL)


def test_only_the_hours_around_what_is_new_are_looked_at() -> None:
    follow = FollowOutage("DZ", ())
    here = [("DZ", hour * HOUR, "p-one", 2) for hour in range(100, 300)]
    follow.see(here)
    assert follow.failing({}) == frozenset()
    follow.see([("TN", 200 * HOUR, "p-tn", 1)])
    assert follow.failing({}) == {hour * HOUR for hour in range(176, 225)}
    assert follow.size == 201
    follow.see([("TN", 190 * HOUR, "p-tn", 0)])
    assert follow.failing({}) == failing_hours(
        [*here, ("TN", 200 * HOUR, "p-tn", 1), ("TN", 190 * HOUR, "p-tn", 0)], "DZ", (), {}
    ) < {hour * HOUR for hour in range(176, 225)}  # fmt: skip
    follow.see(here)
    assert not follow._new


def test_the_worst_word_of_an_hour_stays() -> None:
    follow = FollowOutage("DZ", ())
    follow.see([("DZ", HOUR, "p-one", 2), ("TN", HOUR, "p-tn", 2)])
    follow.see([("TN", HOUR, "p-tn", 0)])
    assert follow.failing({}) == {HOUR}
