"""What a probe says about a cell, from what it said before and what is new; or from all of it, if that does not tell.

Pure. Both ways give the same: a function of the results, never of the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from probe.collector.cells import Standing
from probe.collector.incidents.model import HOUR
from probe.model.finding import Verdict


class Result(msgspec.Struct, frozen=True, order=True):
    """A dated result of one probe in one cell. ``at`` in ms."""

    at: int
    id: str
    verdict: Verdict


def is_late(before: Standing | None, hours: Iterable[int]) -> bool:
    """Whether something came of an hour before the one that the standing is of."""
    return before is not None and min(hours) < before.at // HOUR * HOUR


def follow(probe: str, before: Standing | None, results: Iterable[Result]) -> Standing | None:
    """The standing after ``results``: all those since the beginning of the hour of ``before`` (all there are, if it is
    None). None: only the whole history tells."""
    some = sorted(results)
    newest = some[-1]
    others = [one.at for one in some if one.verdict not in (newest.verdict, "inconclusive")]
    if before is None or others:
        return _run(probe, newest, (one.at for one in some if one.verdict == newest.verdict), max(others, default=-1))
    if before.verdict != newest.verdict:
        return None  # an inconclusive one said nothing of what was before it
    mine = (one.at for one in some if one.verdict == newest.verdict)
    return Standing(probe, newest.id, newest.at, newest.verdict, min(before.since, *mine))


def newest_of(newest: Mapping[Verdict, tuple[int, str]]) -> tuple[Verdict, int]:
    """(verdict of the newest result, instant of the last one that said otherwise; -1: none did), by verdict → (at, id)
    of its newest result."""
    verdict = max(newest, key=lambda one: newest[one])
    before = max((at for one, (at, _) in newest.items() if one not in (verdict, "inconclusive")), default=-1)
    return verdict, before


def _run(probe: str, newest: Result, instants: Iterable[int], before: int) -> Standing:
    # Two findings of one millisecond that contradict each other leave no room for a run.
    since = min((at for at in instants if at > before), default=newest.at)
    return Standing(probe, newest.id, newest.at, newest.verdict, since)
