"""The picture of a case: when it was seen, and when nobody measured."""

from __future__ import annotations

from probe.collector import case_lanes
from probe.collector.case_lanes import WIDTH
from probe.collector.incidents.cases import Case, Member, case
from probe.collector.incidents.model import HOUR
from probe.collector.languages.language import load
from probe.collector.store import IncidentRow
from tests.collector.test_case_views import DAY, JULY, NOW, row


def of(rows: list[IncidentRow]) -> Case:
    return case([Member(one.id, one.group, one.incident) for one in rows], ())


def lanes(rows: list[IncidentRow], now: int = NOW) -> list[case_lanes.Lane]:
    one = of(rows)
    return case_lanes.lanes(one, rows, [(part.operator, part.access) for part in one.parts], now)


def test_a_margin_is_left_before_and_once_it_is_over_after() -> None:
    start, end = case_lanes.bounds(of([row(1)]), NOW)
    assert start < JULY - HOUR
    assert end == NOW, "it goes on: nothing is known of later"
    _, end = case_lanes.bounds(of([row(1, ended=JULY + 12 * DAY)]), NOW)
    assert JULY + 12 * DAY + HOUR < end < NOW
    start, end = case_lanes.bounds(of([row(1, ended=JULY + HOUR)]), NOW)
    assert end - start > 2 * HOUR, "a short one has room, too"


def test_blocks_lie_where_it_was_seen() -> None:
    first, second = lanes([row(1), row(2, "AS64501", access="mobile", began=JULY + 20 * DAY)])
    assert (first.operator, first.access) == ("AS64502", "fixed")
    (long,), (short,) = first.blocks, second.blocks
    assert long.x < short.x
    assert long.x + long.width == short.x + short.width == WIDTH, "both go on until now"
    assert not long.silent


def test_incidents_of_one_line_that_overlap_are_one_block() -> None:
    rows = [row(1, ended=JULY + 10 * DAY), row(2, target="b", began=JULY + 5 * DAY, ended=JULY + 20 * DAY),
            row(3, target="c", began=JULY + 25 * DAY)]  # fmt: skip
    (lane,) = lanes(rows)
    assert len(lane.blocks) == 2


def test_silence_is_a_gap_only_where_none_of_the_targets_was_measured() -> None:
    quiet = ((JULY + 10 * DAY, JULY + 20 * DAY),)
    (alone,) = lanes([row(1, silent=quiet)])
    seen, silent = alone.blocks
    assert (seen.silent, silent.silent) == (False, True)
    assert seen.x < silent.x < silent.x + silent.width < seen.x + seen.width
    (other,) = lanes([row(1, silent=quiet), row(2, target="b")])
    assert [block.silent for block in other.blocks] == [False]
    (both,) = lanes([row(1, silent=quiet), row(2, target="b", silent=((JULY + 15 * DAY, JULY + 30 * DAY),))])
    (gap,) = [block for block in both.blocks if block.silent]
    assert 0 < gap.width < silent.width


def test_the_shortest_is_seen() -> None:
    rows = [row(1, ended=JULY + 1), row(2, target="b", began=JULY + 13 * DAY, ended=JULY + 400 * DAY)]
    (lane,) = lanes(rows, JULY + 500 * DAY)
    assert min(block.width for block in lane.blocks) >= 2
    assert all(0 <= block.x <= WIDTH for block in lane.blocks)


def test_ticks_are_days_or_for_years_months() -> None:
    ticks = case_lanes.ticks(of([row(1)]), NOW, load("en"))
    assert len(ticks) == 5
    assert ticks[-1] == "10 Aug"
    far = case_lanes.ticks(of([row(1)]), JULY + 900 * DAY, load("en"))
    assert far[-1] == "Dec 2028"
