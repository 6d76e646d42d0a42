"""What a dossier's cover says, as values: gathered from the store and from the dossier's own findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from probe.collector import instants, timelines
from probe.collector.case_words import Names
from probe.collector.casebook import Told, rows_of, told
from probe.collector.dossier.beside import Beside
from probe.collector.dossier.excluded import Check, Doubt, Fared, checks, doubts
from probe.collector.heartbeats import Silence
from probe.collector.history import WHOLE, HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.incidents.model import HOUR, Incident, Series
from probe.collector.store import IncidentRow, Reader
from probe.collector.timelines import State
from probe.model.finding import Access, Finding, Location

AROUND = instants.DAY
"""What came so long before the first and after the last bad result belongs to an incident too: it bounds it."""
SLOTS = 48
"""Most slots of a timeline: a week by four hours."""
NEIGHBOURS = 4
"""Other targets on the same lines, of which the timelines are shown at most."""
_NOT_BAD = frozenset({"clean", "down", "inconclusive"})


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timeline. ``own``: of the incident's own series; ``target``: empty where it is the incident's.
    ``runs``: (state, start, end, bad, made), times in ms."""

    country: str
    operator: str
    access: Access
    target: str
    own: bool
    runs: list[tuple[State, int, int, int, int]]


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """How the incident's target fared meanwhile on another kind of line, in results by at least so many probes."""

    country: str
    operator: str
    access: Access
    good: int
    bad: int
    down: int
    probes: int


class Place(msgspec.Struct, frozen=True):
    """A link on the path and how many findings, and probes, put the interference there."""

    location: Location
    findings: int
    probes: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the cover. ``verdicts``: of all findings in the dossier, by verdict; ``rules``: of the bad ones, by
    rule; ``start``, ``end``: of the timelines (ms)."""

    row: IncidentRow
    told: Told | None
    names: Names
    start: int
    end: int
    lanes: list[Lane]
    others: list[Other]
    places: list[Place]
    verdicts: dict[str, int]
    rules: dict[str, int]
    software: tuple[str, ...]
    probes: int
    captures: int
    checks: list[Check]
    doubts: list[Doubt]
    silences: tuple[Silence, ...]


def facts(
    store: Reader, row: IncidentRow, findings: Sequence[Finding], captured: Collection[str], now: int,
    consents: Collection[str] = (),
) -> Facts:  # fmt: skip
    """The facts of an incident. ``findings``: those of its dossier; ``captured``: ids of those whose packets it holds;
    ``now`` in ms; ``consents``: probes whose owners agreed to be the only one of their operator. Raises StoreError."""
    reader = Beside(store, row, consents, now)
    rows = rows_of(reader, row.id)
    about = told(reader, rows, now) if rows else None
    one, series = row.incident, row.incident.series
    first, last = span(one, now)
    start, end, slot = _bounds(one, now)
    looks = reader.looks(first // HOUR * HOUR, last)
    beside = _neighbours(series, row.group, looks)
    others = _others(series, reader.history([series.target], first // HOUR * HOUR, last + 1, WHOLE))
    bad = [f for f in findings if _is_bad(f, one, first, last)]
    history = reader.history([series.target, *beside[:NEIGHBOURS]], start, end, slot)
    places = _places(bad)
    fared = [Fared(o.country, o.good, o.bad, o.down) for o in others]
    fine = sum(look.fine for look in _on_line(series, row.group, looks))
    return Facts(
        row=row, told=about, names=Names.of(reader.cells(), rows or [row]),
        start=start, end=end, lanes=_lanes(series, history, slot),
        others=others, places=places,
        verdicts=_count(f.verdict for f in findings), rules=_count(f.rule for f in bad),
        software=tuple(sorted({f"{f.probe.software}, {f.measurement} {f.version}" for f in findings})),
        probes=len({f.probe.id for f in findings}), captures=len(captured),
        checks=checks(one, bad, findings, fared, fine,
                      len(_on_line(series, row.group, looks))),
        doubts=[*doubts(one, bad, findings, captured, fared), *_hidden(store, reader, row, first, last)],
        silences=reader.silence(one),
    )  # fmt: skip


def _hidden(store: Reader, reader: Beside, row: IncidentRow, first: int, last: int) -> Iterable[Doubt]:
    """Operators that measured the target and may not be named."""
    target = row.incident.series.target
    looks = store.looks(first // HOUR * HOUR, last)
    many = len({(look.country, look.operator) for look in looks if look.target == target} - reader.operators())
    if many:
        yield Doubt("hidden", many)


def span(one: Incident, now: int) -> tuple[int, int]:
    """The first and the last bad result of an incident, ms; one that lasts goes on until ``now``."""
    return one.began.until, one.ended.after if one.ended is not None else now


def _bounds(one: Incident, now: int) -> tuple[int, int, int]:
    """(start, end, slot) of the timelines: a day more on both sides, on whole slots of whole hours."""
    first, last = span(one, now)
    stop = min(now, (one.ended.until or last) + AROUND) if one.ended is not None else now
    begin = first - AROUND
    slot = max(1, -(-(stop - begin) // (SLOTS * HOUR))) * HOUR
    return begin // slot * slot, -(-stop // slot) * slot, slot


def _is_bad(finding: Finding, one: Incident, first: int, last: int) -> bool:
    what = finding.interference
    at = instants.from_text(finding.started_at)
    return what is not None and what.technique == one.series.technique and first <= at <= last


def _on_line(series: Series, group: str, looks: Iterable[Look]) -> list[Look]:
    """How other targets, not of the same company, fared on the same kind of line of the same operator."""
    own = (series.country, series.operator, series.access)
    return [
        look for look in looks
        if (look.country, look.operator, look.access) == own and look.target != series.target
        and (not group or look.group != group)
    ]  # fmt: skip


def _neighbours(series: Series, group: str, looks: Iterable[Look]) -> list[str]:
    return sorted({look.target for look in _on_line(series, group, looks)})


def _others(series: Series, history: Iterable[HistoryRow]) -> list[Other]:
    own = (series.country, series.operator, series.access)
    told: dict[tuple[str, str, Access], Other] = {}
    for row in history:
        key = (row.country, row.operator, row.access)
        if key == own or row.measurement != series.measurement or row.what == "inconclusive":
            continue
        kind = row.what if row.what in _NOT_BAD else "bad"
        before = told.get(key) or Other(
            country=row.country, operator=row.named or row.operator, access=row.access, good=0, bad=0, down=0, probes=0
        )
        told[key] = msgspec.structs.replace(
            before, good=before.good + (row.n if kind == "clean" else 0),
            bad=before.bad + (row.n if kind == "bad" else 0),
            down=before.down + (row.n if kind == "down" else 0), probes=max(before.probes, row.probes),
        )  # fmt: skip
    return sorted(told.values(), key=lambda o: (o.country != series.country, o.country, o.operator, o.access))


def _places(bad: Iterable[Finding]) -> list[Place]:
    named: dict[bytes, tuple[Location, int, set[str]]] = {}
    for finding in bad:
        location = finding.interference.location if finding.interference is not None else None
        if location is not None:
            key = msgspec.json.encode(location)
            kept, number, probes = named.get(key, (location, 0, set[str]()))
            named[key] = kept, number + 1, probes | {finding.probe.id}
    found = [Place(location, number, len(probes)) for location, number, probes in named.values()]
    return sorted(found, key=lambda p: (-p.findings, p.location.first_ttl, p.location.clean_ttl))


def _lanes(series: Series, history: Iterable[HistoryRow], slot: int) -> list[Lane]:
    """The incident's own line first, then its target elsewhere, then other targets on the line."""
    own = (series.country, series.operator, series.access)
    slots: dict[tuple[str, str, Access, str, str], dict[int, dict[str, int]]] = {}
    named: dict[tuple[str, str], str] = {}
    for row in history:
        line = (row.country, row.operator, row.access)
        same = row.target == series.target and row.measurement == series.measurement
        if not same and (line != own or row.target == series.target):
            continue
        named[row.country, row.operator] = row.named or row.operator
        at = slots.setdefault((*line, "" if same else row.target, row.measurement), {}).setdefault(row.start, {})
        at[row.what] = at.get(row.what, 0) + row.n
    lanes = [
        Lane(country=country, operator=named[country, operator], access=access, target=target,
             own=(country, operator, access) == own and not target, runs=timelines.runs(counts, slot))
        for (country, operator, access, target, _), counts in slots.items()
    ]  # fmt: skip
    return sorted(lanes, key=lambda e: (bool(e.target), not e.own, e.country != series.country, e.operator, e.access))


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


