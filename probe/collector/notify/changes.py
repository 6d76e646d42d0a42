"""What is news to a subscription: the incidents as they are, held against what it was told. Pure; times in ms.

A late delivery may move the begin of an incident, and with it its id, or join two into one: an incident that was told
is recognised by its id or, failing that, as the one of the same series that overlaps it most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from probe.collector import instants
from probe.collector.incidents.machine import QUORUM
from probe.collector.incidents.model import Bounds, Incident
from probe.collector.store import IncidentRow
from probe.model.config import NotifyConfig

Kind = Literal["opened", "reopened", "updated", "closed", "withdrawn"]
What = Literal["began", "ended", "homes", "doubt", "exempted", "spared_no_more", "intermittent", "steady"]

UPDATE_PAUSE = instants.DAY
"""Least time between two updates of one incident; what changes meanwhile is told together."""
_DOUBLED = 2
_MOST = 0.5  # of the homes: what is surely seen by fewer is in doubt
_END_OF_TIME = 2**62


class Told(msgspec.Struct, frozen=True):
    """What a subscription knows of an incident: how it stood, when it was said, and whether a message went out."""

    row: IncidentRow
    at: int
    sent: bool


class Change(msgspec.Struct, frozen=True):
    """One thing to tell. ``before``: the id it was told under (empty: it was not); ``what``: of an update."""

    kind: Kind
    row: IncidentRow
    before: str = ""
    what: tuple[What, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What it is the same as, a while later."""
        return self.before or self.row.id, self.kind


class News(msgspec.Struct, frozen=True):
    """``tell``: what is to be told; ``note``: what to remember without a word, with the id that it was remembered under
    (empty: it was not); ``forget``: ids to remember no more."""

    tell: list[Change]
    note: list[tuple[IncidentRow, str]]
    forget: list[str]


def chosen(config: NotifyConfig, row: IncidentRow) -> bool:
    """Whether a subscription is about an incident. A ``*`` in a target stands for any text."""
    series = row.incident.series
    operators = {name.strip().casefold() for name in config.operators}
    return (
        (not config.countries or series.country in config.countries)
        and (not operators or not operators.isdisjoint({series.operator.casefold(), row.operator.casefold()}))
        and (not config.groups or row.group in config.groups)
        and (not config.targets or any(_fits(series.target, pattern) for pattern in config.targets))
    )


def _fits(target: str, pattern: str) -> bool:
    # Brackets are those of an IPv6 address, question marks those of a URL.
    plain = pattern.replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(target.casefold(), plain.casefold())


def news(config: NotifyConfig, told: Iterable[Told], now: Iterable[IncidentRow], at: int, *, begins: bool) -> News:
    """What changed. ``now``: all incidents that there are; ``begins``: the subscription, or its choice, is new, so that
    what is over already is not news."""
    known = {one.row.id: one for one in told if chosen(config, one.row)}
    current = {row.id: row for row in now if row.incident.state != "suspected" and chosen(config, row)}
    pairs = _pairs(known, current)
    found = News([], [], [])
    for row in current.values():
        if row.id in pairs:
            _again(config, pairs[row.id], row, at, found)
        elif row.incident.homes >= QUORUM:
            _first(config, row, begins, found)
    kept = {one.row.id for one in pairs.values()}
    for name, one in known.items():
        if name in kept:
            continue
        if one.sent and not any(_overlap(one.row, other) for other in current.values()):
            found.tell.append(Change("withdrawn", one.row, name))
        else:  # nobody was told, or it has become a part of another
            found.forget.append(name)
    found.tell.sort(key=lambda change: (when(change), change.row.id))
    return found


def _first(config: NotifyConfig, row: IncidentRow, begins: bool, found: News) -> None:
    kind: Kind = "opened" if row.incident.state == "open" else "closed"
    if _wanted(config, kind) and not (begins and kind == "closed"):
        found.tell.append(Change(kind, row))
    else:
        found.note.append((row, ""))


def _again(config: NotifyConfig, before: Told, row: IncidentRow, at: int, found: News) -> None:
    kind: Kind | None = None
    what: tuple[What, ...] = ()
    if before.row.incident.state != row.incident.state:
        kind = "reopened" if row.incident.state == "open" else "closed"
    elif at - before.at >= UPDATE_PAUSE and (what := _what(before.row.incident, row.incident)):
        kind = "updated"
    if kind is not None and _wanted(config, kind):
        found.tell.append(Change(kind, row, before.row.id, what))
    elif kind is not None:
        found.note.append((row, before.row.id))
    elif row.id != before.row.id:
        # Under its new id, but as it was told, so that small changes add up.
        found.note.append((msgspec.structs.replace(before.row, id=row.id), before.row.id))


def settled(changes: Iterable[Change], waiting: dict[tuple[str, str], int], at: int, settle: int) -> list[Change]:
    """The changes that have lasted for so many ms. ``waiting`` (key → since when) is brought up to date: what came and
    went is forgotten."""
    changes = list(changes)
    since = {change.key: waiting.get(change.key, at) for change in changes}
    waiting.clear()
    waiting.update(since)
    return [change for change in changes if at - since[change.key] >= settle]


def when(change: Change) -> int:
    """The instant that a change is about, in ms."""
    incident = change.row.incident
    if change.kind == "closed" and incident.ended:
        return incident.ended.until or incident.ended.after
    return incident.began.until


def _wanted(config: NotifyConfig, kind: Kind) -> bool:
    event = {"opened": "opened", "reopened": "opened", "updated": "updated", "closed": "closed"}.get(kind)
    return not config.events or event in config.events


def _pairs(known: Mapping[str, Told], current: Mapping[str, IncidentRow]) -> dict[str, Told]:
    """Id now → what was told of it."""
    pairs = {name: known[name] for name in current if name in known}
    gone = [one for name, one in known.items() if name not in pairs]
    new = [row for name, row in current.items() if name not in pairs]
    candidates = sorted(
        ((much, one.row.id, row.id) for one in gone for row in new if (much := _overlap(one.row, row))), reverse=True
    )
    taken: set[str] = set()
    for _, before, name in candidates:
        if name not in pairs and before not in taken:
            pairs[name] = known[before]
            taken.add(before)
    return pairs


def _overlap(one: IncidentRow, other: IncidentRow) -> int:
    """How long two incidents of one series went on together, in ms; 0: never, or of different series."""
    first, second = one.incident, other.incident
    if first.series != second.series:
        return 0
    ends = [i.ended.until or i.ended.after if i.ended else _END_OF_TIME for i in (first, second)]
    return max(0, min(ends) - max(first.began.until, second.began.until))


def _what(before: Incident, after: Incident) -> tuple[What, ...]:
    """What has changed enough to be told."""
    found: list[What] = []
    if _apart(before.began, after.began):
        found.append("began")
    if before.ended and after.ended and _apart(before.ended, after.ended):
        found.append("ended")
    if after.homes >= _DOUBLED * before.homes:
        found.append("homes")
    if (before.sure >= _MOST) != (after.sure >= _MOST):
        found.append("doubt")
    if len(after.exemptions) != len(before.exemptions):
        found.append("exempted" if len(after.exemptions) > len(before.exemptions) else "spared_no_more")
    if before.intermittent != after.intermittent:
        found.append("intermittent" if after.intermittent else "steady")
    return tuple(found)


def _apart(before: Bounds, after: Bounds) -> bool:
    """Whether two intervals have no instant in common: then what was told is wrong, not only coarse."""
    end_before, end_after = before.until or _END_OF_TIME, after.until or _END_OF_TIME
    return before.after > end_after or after.after > end_before
