"""What is followed is told as if it were told anew, in whatever order and portions it comes."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.collector.incidents.follow import Follow
from probe.collector.incidents.model import HOUR, Series, Sight
from probe.collector.incidents.timeline import incidents
from tests.collector.incidents.stories import SERIES, Story, at, cut

FORGED = msgspec.structs.replace(SERIES, technique="tcp_reset")
PROBES = [f"p{number}" for number in range(5)]


def sight(probe: str, hour: int, good: int, bad: int, down: int) -> Sight:
    start = hour * HOUR
    return Sight(
        probe, start, good, bad, down, start + 1 if good else 0, start + 9 if good else 0, start + 5 if bad else 0,
        start + 7 if bad else 0,
    )  # fmt: skip


SIGHTS = st.builds(
    sight, st.sampled_from(PROBES), st.integers(1, 90) | st.integers(1, 400), st.integers(0, 2), st.integers(0, 2),
    st.integers(0, 1),
)  # fmt: skip
HOURS = st.frozensets(st.integers(1, 90).map(lambda hour: hour * HOUR), max_size=6)
NAMES = st.dictionaries(st.sampled_from(PROBES), st.sampled_from(["~a", "~b", "~c"]), max_size=4)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.lists(SIGHTS, max_size=25), HOURS, NAMES), min_size=1, max_size=6),
    st.sampled_from([SERIES, FORGED]),
)
def test_in_any_order_and_portions(
    portions: list[tuple[list[Sight], frozenset[int], dict[str, str]]], series: Series
) -> None:
    follow, known = Follow(series), dict[tuple[str, int], Sight]()
    for sights, failing, names in portions:
        follow.see(sights)
        known |= {(one.probe, one.hour): one for one in sights}
        now = max((one.hour for one in known.values()), default=0) + HOUR
        assert follow.incidents(now=now, failing=failing, prefix_of=names) == incidents(
            series, known.values(), now=now, failing=failing, prefix_of=names
        )
        assert follow.size == len(known)
        assert follow.last == max((one.hour for one in known.values()), default=0)
        assert follow.first == {
            probe: min(hour for one, hour in known if one == probe) for probe in {one for one, _ in known}
        }


@pytest.mark.parametrize("seed", range(2))
def test_a_story_with_liars_and_late_deliveries(seed: int) -> None:
    story = Story(cut(("2026-01-04", "2026-01-08")), at("2026-01-01"), at("2026-01-14"), homes=8, liars=2, seed=seed)
    sights = story.sights()
    Random(seed).shuffle(sights)
    late = [one for one in sights if one.probe == "home5" and one.hour > at("2026-01-05")]
    prompt = sorted((one for one in sights if one not in late), key=lambda one: one.hour)
    follow, now = Follow(SERIES), max(one.hour for one in sights) + HOUR
    for start in range(0, len(prompt), 40):
        follow.see(prompt[start : start + 40])
        follow.incidents(now=now, failing=frozenset(), prefix_of={})
    follow.see(late)
    found = follow.incidents(now=now, failing=frozenset(), prefix_of={})
    assert found == incidents(SERIES, sights, now=now)
    assert len(found) == 1


def test_what_is_said_again_changes_nothing() -> None:
    follow = Follow(SERIES)
    some = [sight(probe, hour, 0, 2, 0) for probe in PROBES for hour in range(1, 9)]
    follow.see(some)
    first = follow.incidents(now=10 * HOUR, failing=frozenset(), prefix_of={})
    follow.see(some)
    assert not follow._new
    assert follow.incidents(now=10 * HOUR, failing=frozenset(), prefix_of={}) == first
    assert len(first) == 1
