"""Telling the incidents of a series anew from a roll-up, whatever store it lies in. Pure.

A store hands in the rows of its roll-up and the incidents that it knows; it gets back what to write and what to strike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import get_args

import msgspec

from probe.collector.incidents.homes import STALE, WINDOW
from probe.collector.incidents.model import Incident, Sight
from probe.collector.incidents.outage import WORDS, Word, failing
from probe.model.feed import short_hash
from probe.model.finding import Technique

OPEN_END = 1 << 62
"""End of an incident that lasts, where a number must stand."""
REACH = WINDOW + STALE
"""How far a result can move an incident: it may end a window after its last bad result, or be joined within one."""
TECHNIQUES = frozenset(get_args(Technique))


def sights(rows: Iterable[tuple[int, str, str, int, int, int]], control: Collection[str]) -> list[Sight]:
    """Rows (hour, probe, what, n, first, last) of a series, of clean and down ones and of one technique, as sights.
    ``control``: probes of the control vantage, which are no homes."""
    found: dict[tuple[str, int], Sight] = {}
    for hour, probe, what, n, first, last in rows:
        if probe in control:
            continue
        sight = found.get((probe, hour)) or Sight(probe, hour)
        if what == "clean":
            sight = msgspec.structs.replace(sight, good=n, first_good=first, last_good=last)
        elif what == "down":
            sight = msgspec.structs.replace(sight, down=n)
        else:
            sight = msgspec.structs.replace(sight, bad=n, first_bad=first, last_bad=last)
        found[probe, hour] = sight
    return list(found.values())


def failing_hours(
    rows: Iterable[tuple[str, int, str, int]], country: str, control: Collection[str], home_of: Mapping[str, str]
) -> frozenset[int]:
    """Hours in which a target failed for everybody, of those in which it was bad in a country: the definition, in one
    go. What a store follows instead (:mod:`.follow_outage`) is held against it.

    ``rows``: (country, hour, probe, worst) of all who measured it, where the worst is 0 clean, 1 down, 2 anything else.
    ``home_of``: probe → its home, whose probes have one word together, the worst; one that is not in it speaks for
    itself, as those of the control vantage do.
    """
    outside: dict[str, dict[int, int]] = {}
    inside: dict[str, dict[int, int]] = {}
    for where, hour, probe, worst in rows:
        controls = probe in control
        words = outside if controls or where != country else inside
        said = words.setdefault(probe if controls else home_of.get(probe, probe), {})
        said[hour] = max(worst, said.get(hour, 0))
    bad = {hour for said in inside.values() for hour, worst in said.items() if WORDS[worst] == "bad"}
    return failing(bad, _in_words(inside), _in_words(outside))


def first_hours(rows: Iterable[tuple[str, int, str, int]], control: Collection[str]) -> dict[str, int]:
    """The hour in which each probe first measured, by the rows of :func:`failing_hours`; those of the control vantage
    are no homes."""
    first: dict[str, int] = {}
    for _, hour, probe, _ in rows:
        if probe not in control:
            first[probe] = min(hour, first.get(probe, hour))
    return first


def _in_words(said: Mapping[str, Mapping[int, int]]) -> dict[str, dict[int, Word]]:
    return {name: {hour: WORDS[worst] for hour, worst in hours.items()} for name, hours in said.items()}


def reconcile(
    known: Mapping[str, Incident], found: Sequence[Incident]
) -> tuple[list[tuple[str, Incident]], list[str]]:
    """(what is new or has changed, under its permanent name; names of those that turned out to be none, or one with
    another). ``known``: by name, oldest first."""
    left, changed = dict(known), []
    for one in found:
        name = next((name for name, old in left.items() if _meet(old, one)), None) or _name(one)
        if left.pop(name, None) != one:
            changed.append((name, one))
    return changed, list(left)


def end(one: Incident) -> int:
    """Its last bad result, ms; the end of time while it lasts."""
    return OPEN_END if one.ended is None else one.ended.after


def _meet(old: Incident, new: Incident) -> bool:
    """Whether two tellings are of one incident: they share some time."""
    return old.began.until <= end(new) and new.began.until <= end(old)


def _name(one: Incident) -> str:
    """Permanent: it does not change when late deliveries move an end."""
    return short_hash("\x1f".join((*msgspec.structs.astuple(one.series), str(one.began.until))))
