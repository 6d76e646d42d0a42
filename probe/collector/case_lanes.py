"""The picture of a case: a lane for each operator and kind of line, when it was seen and when nobody measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.collector import instants
from probe.collector.incidents.cases import Case
from probe.collector.incidents.model import HOUR
from probe.collector.languages.language import Language
from probe.collector.store import IncidentRow

WIDTH = 1000
"""Of a lane, in units of its drawing."""
_MARGIN = 12
"""One part in so many of the time is shown before it and, once it is over, after it."""
_LEAST = 24 * HOUR
_TICKS = 4
_FAR = 400 * instants.DAY

_Interval = tuple[int, int]


class Block(msgspec.Struct, frozen=True):
    """``silent``: nobody measured; else it was seen."""

    x: int
    width: int
    silent: bool


class Lane(msgspec.Struct, frozen=True):
    """One operator's lines of one kind."""

    operator: str
    access: str
    blocks: list[Block]


def bounds(one: Case, now: int) -> tuple[int, int]:
    """(first, last) instant of the picture, in ms."""
    since = one.began.after or one.began.until
    end = now if one.ended is None else one.ended.until or one.ended.after
    margin = max(_LEAST, end - since) // _MARGIN
    return since - margin, end if one.ended is None else end + margin


def lanes(
    one: Case, rows: Sequence[IncidentRow], called: Sequence[tuple[str, str]], now: int
) -> list[Lane]:
    """In the order of the case's parts, which are ``called`` (operator, kind of line). ``now`` in ms."""
    start, end = bounds(one, now)
    found = []
    for part, (operator, access) in zip(one.parts, called, strict=True):
        seen, measured = list[_Interval](), list[_Interval]()
        for row in rows:
            incident = row.incident
            if (incident.series.operator, incident.series.access) == (part.operator, part.access):
                span = incident.began.until, incident.ended.after if incident.ended is not None else now
                seen.append(span)
                measured += _without(span, incident.silent)
        blocks = [Block(*_placed(a, b, start, end), silent=False) for a, b in _joined(seen)]
        # While one target was not measured, another may have been: only where none was, there is silence.
        for span in _joined(seen):
            blocks += [Block(*_placed(a, b, start, end), silent=True) for a, b in _without(span, _joined(measured))]
        found.append(Lane(operator, access, blocks))
    return found


def ticks(one: Case, now: int, language: Language) -> list[str]:
    """Dates at equal distances, from the first to the last."""
    start, end = bounds(one, now)
    say = language.month if end - start > _FAR else language.day
    return [say(start + (end - start) * i // _TICKS) for i in range(_TICKS + 1)]


def _without(span: _Interval, holes: Sequence[_Interval]) -> list[_Interval]:
    """What is left of an interval. ``holes``: in order, without overlaps."""
    found, since = list[_Interval](), span[0]
    for a, b in holes:
        if since < min(a, span[1]):
            found.append((since, min(a, span[1])))
        since = max(since, b)
    return [*found, (since, span[1])] if since < span[1] else found


def _placed(since: int, until: int, start: int, end: int) -> tuple[int, int]:
    x = WIDTH * (since - start) // max(1, end - start)
    return x, max(2, WIDTH * (until - start) // max(1, end - start) - x)


def _joined(intervals: Sequence[_Interval]) -> list[_Interval]:
    """The same time, without overlaps."""
    found: list[_Interval] = []
    for a, b in sorted(intervals):
        if found and a <= found[-1][1]:
            found[-1] = found[-1][0], max(b, found[-1][1])
        else:
            found.append((a, b))
    return found
