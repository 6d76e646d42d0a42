"""From the hourly roll-up to the timelines of a target: one lane a test and operator, runs of equal states. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from probe.collector import words
from probe.collector.history import HistoryRow
from probe.collector.incidents.model import HOUR
from probe.collector.languages.language import Language, mark
from probe.collector.views import Time
from probe.model.finding import Access

State = Literal["interfered", "mixed", "down", "clean", "inconclusive"]

STATES: dict[State, str] = {
    "interfered": words.VERDICTS["interfered"].label,
    "mixed": mark("Interference in some measurements"),
    "down": words.VERDICTS["down"].label,
    "clean": words.VERDICTS["clean"].label,
    "inconclusive": words.VERDICTS["inconclusive"].label,
}

SPANS = {1: HOUR, 7: 2 * HOUR, 30: 8 * HOUR, 365: 96 * HOUR}
"""Days that a page can show → length of its slots (ms): about ninety on a line, which a phone can draw."""
WIDTH = 1000
"""Of a lane, in units of its drawing."""
_TICKS = 4
_NOT_BAD = frozenset({"clean", "down", "inconclusive"})


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Slots of one state in a row. ``x`` and ``width`` in units of the drawing; ``bad`` of ``made`` results."""

    state: State
    label: str
    since: Time
    until: Time
    x: int
    width: int
    bad: int
    made: int


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One test on one operator and kind of line. ``asked``: what was asked for, if the target's name doesn't say it."""

    operator: str
    access: str
    country: str
    test: str
    asked: str
    runs: list[Run]


class Timeline(msgspec.Struct, frozen=True):
    """All lanes of a target between two instants. ``ticks``: dates at equal distances, from the first to the last."""

    since: Time
    until: Time
    ticks: list[str]
    lanes: list[Lane]


def bounds(days: int, now: int) -> tuple[int, int, int]:
    """(start, end, slot) in ms of a timeline of so many days (a key of SPANS), on whole slots, up to ``now``."""
    slot = SPANS[days]
    end = -(-now // slot) * slot
    return end - days * 24 * HOUR // slot * slot, end, slot


def timeline(name: str, history: Iterable[HistoryRow], days: int, now: int, language: Language) -> Timeline:
    """The timelines of a target. ``history``: what was measured of it in slots of ``bounds(days, now)``."""
    start, end, slot = bounds(days, now)
    counts: dict[tuple[str, str, Access, str, str], dict[int, dict[str, int]]] = {}
    called: dict[tuple[str, str, Access], str] = {}
    for row in history:
        called[row.country, row.operator, row.access] = row.named or row.operator or language.text("Unknown operator")
        key = (row.country, row.operator, row.access, row.measurement, row.target)
        at = counts.setdefault(key, {}).setdefault(row.start, {})
        at[row.what] = at.get(row.what, 0) + row.n
    lanes = []
    for (country, operator, access, measurement, target), slots in sorted(counts.items()):
        lanes.append(Lane(
            operator=called[country, operator, access], access=words.access(access, language), country=country,
            test=words.measurement(measurement, language), asked=target if target != name else "",
            runs=[_shown(run, start, end, language) for run in runs(slots, slot)],
        ))  # fmt: skip
    ticks = [language.day(start + (end - start) * i // _TICKS) for i in range(_TICKS + 1)]
    if days == 1:
        ticks = [language.date(start), language.date(end)]
    return Timeline(Time.of(start, language), Time.of(end, language), ticks, lanes)


def state_of(counts: dict[str, int]) -> State:
    """The state of a slot. ``counts``: results by verdict, or by technique where interfered."""
    bad, good, down = _bad(counts), counts.get("clean", 0), counts.get("down", 0)
    if bad:
        return "interfered" if 2 * bad >= bad + good else "mixed"
    if down and down >= good:
        return "down"
    return "clean" if good else "inconclusive"


def runs(slots: dict[int, dict[str, int]], slot: int) -> list[tuple[State, int, int, int, int]]:
    """(state, start, end, bad, made) of slots in a row that are alike; nothing where nobody measured."""
    found: list[tuple[State, int, int, int, int]] = []
    for start, counts in sorted(slots.items()):
        state, bad, made = state_of(counts), _bad(counts), sum(counts.values())
        if found and found[-1][0] == state and found[-1][2] == start:
            _, begun, _, bad_before, made_before = found.pop()
            found.append((state, begun, start + slot, bad_before + bad, made_before + made))
        else:
            found.append((state, start, start + slot, bad, made))
    return found


def _bad(counts: dict[str, int]) -> int:
    return sum(n for what, n in counts.items() if what not in _NOT_BAD)


def _shown(run: tuple[State, int, int, int, int], start: int, end: int, language: Language) -> Run:
    state, since, until, bad, made = run
    x = WIDTH * (since - start) // (end - start)
    return Run(
        state=state, label=language.text(STATES[state]), since=Time.of(since, language), until=Time.of(until, language),
        x=x, width=max(1, WIDTH * (until - start) // (end - start) - x), bad=bad, made=made,
    )  # fmt: skip
