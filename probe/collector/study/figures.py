"""A country's month in figures. Pure, from the roll-up; nothing of an operator that a single home measures is in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

import msgspec

from probe.collector.history import HistoryRow
from probe.collector.incidents.cases import Look
from probe.collector.incidents.model import HOUR
from probe.collector.public import tellable
from probe.collector.store import IncidentRow
from probe.measurements._judge import wilson_lower
from probe.model import finding

DAY = 24 * HOUR
_NOT_BAD = frozenset({"clean", "down", "inconclusive"})


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """One operator's month. ``homes``: at least so many measured; of ``pairs`` (home, target), ``cut`` saw it fail most
    of the time; ``low``, ``high``: the 95 % interval of that share (Wilson, 1927). ``results``: of ``made``, ``bad``
    showed interference, ``down`` found the server down, ``unsure`` were not conclusive. ``silent``: days without any.
    """

    key: str
    name: str
    homes: int
    targets: int
    cut_targets: int
    pairs: int
    cut: int
    low: float
    high: float
    made: int
    bad: int
    down: int
    unsure: int
    silent: int
    incidents: int


class Technique(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of interference of one operator: so many results, with so many targets."""

    operator: str
    technique: finding.Technique
    measurement: str
    results: int
    targets: int


class Month(msgspec.Struct, frozen=True):
    """The share of an operator's (home, target) pairs that were cut in a month, None where too few measured."""

    month: str
    operator: str
    pairs: int
    cut: int

    @property
    def share(self) -> float | None:
        return self.cut / self.pairs if self.pairs else None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``hidden``: operators left out, since a single home measured them."""

    country: str
    month: str
    since: int
    until: int
    operators: list[Operator]
    techniques: list[Technique]
    incidents: list[IncidentRow]
    trend: list[Month]
    hidden: int
    probes: int


def figures(
    country: str, month: str, span: tuple[int, int], looks: Sequence[Look], history: Sequence[HistoryRow],
    incidents: Iterable[IncidentRow], earlier: Sequence[tuple[str, Sequence[Look]]], now: int,
    allowed: Mapping[str, int],
) -> Figures:  # fmt: skip
    """``span``: first instant of the month and of the next (ms); ``looks``: of that span, of all countries;
    ``history``: of the country's targets in that span, by the day; ``earlier``: the looks of each month of the
    trend, this one included; ``allowed``: operators that may be shown, with the homes that a month of theirs
    needs for it."""
    since, until = span
    shown = _shown(country, looks, allowed)
    own = [row for row in history if row.country == country]
    rows = [
        row for row in incidents
        if row.incident.series.country == country and _within(row, since, until)
        and row.incident.series.operator in shown and tellable(row.incident, {(country, one) for one in shown})
    ]  # fmt: skip
    everyone = {look.operator for look in looks if look.country == country} | {row.operator for row in own}
    operators = [
        _operator(key, [look for look in looks if look.country == country and look.operator == key],
                  [row for row in own if row.operator == key],
                  [row for row in rows if row.incident.series.operator == key], since, min(until, now))
        for key in shown
    ]  # fmt: skip
    return Figures(
        country=country, month=month, since=since, until=min(until, now),
        operators=sorted(operators, key=lambda o: (-(o.cut / o.pairs if o.pairs else 0), o.name)),
        techniques=_techniques(own, shown), incidents=sorted(rows, key=lambda r: r.incident.began.until),
        trend=_trend(country, earlier, allowed), hidden=len(everyone - set(shown)),
        probes=sum(one.homes for one in operators),
    )  # fmt: skip


def _shown(country: str, looks: Iterable[Look], allowed: Mapping[str, int]) -> list[str]:
    """Operators that enough homes measured: of one target at least, which is a lower bound."""
    homes: dict[str, int] = {}
    for look in looks:
        if look.country == country and look.operator in allowed:
            homes[look.operator] = max(homes.get(look.operator, 0), look.good + look.bad)
    return sorted(key for key, many in homes.items() if many >= allowed[key])


def _within(row: IncidentRow, since: int, until: int) -> bool:
    end = row.incident.ended.after if row.incident.ended is not None else until
    return row.incident.began.until < until and end >= since


def _operator(
    key: str, looks: list[Look], history: list[HistoryRow], incidents: list[IncidentRow], since: int, until: int
) -> Operator:
    pairs, cut = sum(look.good + look.bad for look in looks), sum(look.bad for look in looks)
    kinds = {"bad": 0, "clean": 0, "down": 0, "inconclusive": 0}
    for row in history:
        kinds[row.what if row.what in _NOT_BAD else "bad"] += row.n
    days = {row.start // DAY for row in history}
    return Operator(
        key=key, name=next((row.named for row in reversed(history) if row.named), key),
        homes=max((look.good + look.bad for look in looks), default=0),
        targets=len({look.target for look in looks}), cut_targets=len({look.target for look in looks if look.bad}),
        pairs=pairs, cut=cut, low=wilson_lower(cut, pairs),
        high=1 - wilson_lower(pairs - cut, pairs), made=sum(kinds.values()), bad=kinds["bad"], down=kinds["down"],
        unsure=kinds["inconclusive"], silent=max(0, -(-(until - since) // DAY) - len(days)), incidents=len(incidents),
    )  # fmt: skip


def _techniques(history: Iterable[HistoryRow], shown: Collection[str]) -> list[Technique]:
    counts: dict[tuple[str, str, str], tuple[int, set[str]]] = {}
    for row in history:
        if row.what in _NOT_BAD or row.operator not in shown:
            continue
        number, targets = counts.get((row.operator, row.what, row.measurement), (0, set[str]()))
        counts[row.operator, row.what, row.measurement] = number + row.n, targets | {row.target}
    return sorted(
        (Technique(operator=operator, technique=cast("finding.Technique", what), measurement=measurement,
                   results=number, targets=len(targets))
         for (operator, what, measurement), (number, targets) in counts.items()),
        key=lambda one: (-one.results, one.operator, one.technique),
    )  # fmt: skip


def _trend(country: str, earlier: Sequence[tuple[str, Sequence[Look]]], allowed: Mapping[str, int]) -> list[Month]:
    found = []
    for month, looks in earlier:
        for key in _shown(country, looks, allowed):
            mine = [look for look in looks if look.country == country and look.operator == key]
            found.append(Month(month, key, sum(one.good + one.bad for one in mine), sum(one.bad for one in mine)))
    return found
