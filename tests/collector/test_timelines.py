"""Timelines: slots, runs of equal states, and nothing where nobody measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import instants, timelines
from probe.collector.history import HistoryRow
from probe.collector.incidents.model import HOUR
from probe.collector.languages.language import load

NOW = instants.from_text("2026-03-08T11:20:00.000Z")
EN = load("en")
ROW = HistoryRow(
    country="MA", operator="AS64501", named="Atlas", access="fixed", measurement="dns_injection", target="a.example",
    start=0, what="clean", n=2, probes=1,
)  # fmt: skip


def row(start: int, what: str = "clean", **changes: Any) -> HistoryRow:
    return msgspec.structs.replace(ROW, start=start, what=what, **changes)


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({"clean": 3}, "clean"),
        ({"dns_injection": 1}, "interfered"),
        ({"dns_injection": 1, "tcp_reset": 1, "clean": 2}, "interfered"),
        ({"dns_injection": 1, "clean": 2}, "mixed"),
        ({"down": 1, "clean": 1}, "down"),
        ({"down": 1, "clean": 2}, "clean"),
        ({"down": 5, "dns_injection": 1}, "interfered"),
        ({"inconclusive": 4}, "inconclusive"),
    ],
)
def test_the_state_of_a_slot(counts: dict[str, int], state: str) -> None:
    assert timelines.state_of(counts) == state


def test_every_state_has_a_label() -> None:
    assert [EN.text(label) for label in timelines.STATES.values()] == [
        "Interference", "Interference in some measurements", "Server down", "No interference", "Not conclusive",
    ]  # fmt: skip


@pytest.mark.parametrize("days", timelines.SPANS)
def test_bounds_are_whole_slots_that_hold_now(days: int) -> None:
    start, end, slot = timelines.bounds(days, NOW)
    assert slot % HOUR == 0
    assert start % slot == end % slot == 0
    assert end - slot < NOW <= end
    assert days * instants.DAY - slot < end - start <= days * instants.DAY
    assert (end - start) // slot <= 100


def test_runs_join_what_is_alike_and_leave_silence_out() -> None:
    slots = {0: {"clean": 1}, 1: {"clean": 2}, 2: {"dns_injection": 3, "clean": 1}, 5: {"dns_injection": 1}}
    assert timelines.runs(slots, 1) == [("clean", 0, 2, 0, 3), ("interfered", 2, 3, 3, 4), ("interfered", 5, 6, 1, 1)]


@given(st.dictionaries(st.integers(0, 30), st.sampled_from(["clean", "down", "inconclusive", "tcp_reset"])))
def test_runs_tell_every_slot_once_and_no_other(slots: dict[int, str]) -> None:
    found = timelines.runs({10 * slot: {what: 1} for slot, what in slots.items()}, 10)
    told = {slot: state for state, start, end, _, _ in found for slot in range(start // 10, end // 10)}
    assert told == {slot: timelines.state_of({what: 1}) for slot, what in slots.items()}
    assert sum(made for *_, made in found) == len(slots)
    for before, after in pairwise(found):
        assert before[2] < after[1] or before[0] != after[0]


def test_a_timeline_has_a_lane_for_each_test_on_each_line() -> None:
    start, end, slot = timelines.bounds(7, NOW)
    rows = [
        row(start), row(start, "dns_injection", n=6), row(end - slot, "down"),
        row(start, access="mobile", measurement="voip", target="sip:a.example"), row(start, operator="x", named=""),
    ]  # fmt: skip
    line = timelines.timeline("a.example", rows, 7, NOW, EN)
    assert [(lane.operator, lane.access, lane.test, lane.asked) for lane in line.lanes] == [
        ("Atlas", "fixed line", "Name lookup", ""),
        ("Atlas", "mobile", "Calls", "sip:a.example"),
        ("x", "fixed line", "Name lookup", ""),
    ]
    first, last = line.lanes[0].runs
    assert (first.state, first.x, first.bad, first.made) == ("interfered", 0, 6, 8)
    assert (last.state, last.x + last.width, last.until) == ("down", timelines.WIDTH, line.until)
    assert line.ticks == ["1 Mar", "3 Mar", "5 Mar", "6 Mar", "8 Mar"]
    assert (line.since.iso, line.until.iso) == ("2026-03-01T12:00:00.000Z", "2026-03-08T12:00:00.000Z")


def test_blocks_never_overlap_nor_vanish() -> None:
    start, _, slot = timelines.bounds(365, NOW)
    whats = ["clean", "down", "tcp_reset"] * 30
    rows = [row(start + i * slot, what) for i, what in enumerate(whats)]
    (lane,) = timelines.timeline("a.example", rows, 365, NOW, EN).lanes
    assert len(lane.runs) == 90
    for before, after in pairwise(lane.runs):
        assert before.width >= 1
        assert before.x + before.width == after.x


def test_a_day_is_told_by_its_ends() -> None:
    line = timelines.timeline("a.example", [], 1, NOW, load("fr"))
    assert line.ticks == ["7 mars 2026 à 12:00 UTC", "8 mars 2026 à 12:00 UTC"]
    assert line.lanes == []
