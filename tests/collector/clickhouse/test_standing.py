"""What a probe says: the short way and the long way, held against all of it in plain Python."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from probe.collector.cells import Standing
from probe.collector.clickhouse.standing import Result, follow, is_late, newest_of
from probe.collector.incidents.model import HOUR
from probe.model.finding import Verdict

RESULTS = st.lists(
    st.builds(
        Result, st.integers(0, 6 * HOUR), st.integers(0, 999).map(lambda n: f"{n:03}"),
        st.sampled_from(get_args(Verdict)),
    ),
    min_size=1, max_size=12, unique_by=lambda one: one.id,
)  # fmt: skip


def plainly(results: list[Result]) -> Standing:
    """As the embedded store computes it."""
    newest = max(results)
    before = max((r.at for r in results if r.verdict not in (newest.verdict, "inconclusive")), default=-1)
    since = min((r.at for r in results if r.verdict == newest.verdict and r.at > before), default=newest.at)
    return Standing("p", newest.id, newest.at, newest.verdict, since)


@given(RESULTS, st.data())
def test_in_whatever_parts_it_comes_the_standing_is_that_of_all(results: list[Result], data: st.DataObject) -> None:
    left, there, standing = data.draw(st.permutations(results)), list[Result](), None
    while left:
        size = data.draw(st.integers(1, len(left)))
        part, left = left[:size], left[size:]
        there += part
        after = None
        if not is_late(standing, [one.at // HOUR * HOUR for one in part]):
            low = 0 if standing is None else standing.at // HOUR * HOUR
            after = follow("p", standing, [one for one in there if one.at >= low])
        standing = plainly(there) if after is None else after
        assert standing == plainly(there)


@given(RESULTS)
def test_all_of_it_by_verdict(results: list[Result]) -> None:
    newest: dict[Verdict, tuple[int, str]] = {}
    for one in sorted(results):
        newest[one.verdict] = one.at, one.id
    verdict, before = newest_of(newest)
    told = plainly(results)
    since = min((one.at for one in results if one.verdict == verdict and one.at > before), default=told.at)
    assert (verdict, newest[verdict][1], since) == (told.verdict, told.finding_id, told.since)


def test_only_the_history_tells_what_was_before_an_inconclusive_one() -> None:
    before = Standing("p", "b", HOUR, "inconclusive", HOUR)
    assert follow("p", before, [Result(HOUR, "b", "inconclusive"), Result(HOUR + 1, "c", "clean")]) is None
    assert not is_late(None, [0])
    assert is_late(before, [0])
