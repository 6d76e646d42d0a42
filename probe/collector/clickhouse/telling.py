"""Incidents, told anew from the roll-up wherever something moved, by the pure logic in `probe.collector.incidents`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import chunks, listed
from probe.collector.clickhouse.tables import insert
from probe.collector.homes_table import END, MOST
from probe.collector.incidents import retold
from probe.collector.incidents.homes import Stay, together
from probe.collector.incidents.model import HOUR, Incident, Series, Sight
from probe.collector.incidents.retold import REACH, TECHNIQUES
from probe.collector.incidents.timeline import OUTAGE_LIKE, incidents
from probe.model.finding import Access, Technique

_GOOD = "('clean', 'down', 'inconclusive')"
_AT_ONCE = 50
"""Series that are told at a time: their whole roll-up is in memory."""
_INCIDENT = msgspec.json.Decoder(Incident)

Row = tuple[int, str, str, int, int, int]
"""(hour, probe, what, n, first, last)."""


class _Kind(msgspec.Struct, frozen=True):
    """A series without its technique, as the table has it."""

    country: str
    operator: str
    access: Access
    measurement: str
    target: str


class Telling:
    """Not for several threads. ``control``: probes of the control vantage."""

    def __init__(self, link: Link, control: Collection[str], *, own_homes: bool) -> None:
        self._link, self._control, self._own_homes = link, frozenset(control), own_homes
        self._change = 0

    def begin(self) -> None:
        """Somebody else told until now."""
        ((self._change,),) = self._link.rows("i", "SELECT max(change) FROM incidents")

    def moved(self, probes: Collection[str], *, everybody: bool) -> list[tuple[str, int]]:
        """(cell, hour) of what has to be told anew since it is known behind which prefix these probes are."""
        # Of a target with which anybody found interference: what looks like an outage is told by those elsewhere.
        interfered = (
            "cell GLOBAL IN (SELECT cell FROM series WHERE (measurement, target) GLOBAL IN"
            " (SELECT measurement, target FROM series WHERE cell GLOBAL IN"
            f" (SELECT cell FROM hourly WHERE what NOT IN {_GOOD})))"
        )
        mine = "1" if everybody else f"probe IN {listed(probes)}"
        rows = self._link.rows(
            "sii", f"SELECT cell, min(hour), max(hour) FROM hourly WHERE {interfered} AND {mine} GROUP BY cell"
        )
        return [(cell, hour) for cell, *hours in rows for hour in hours]

    def refresh(self, touched: Iterable[tuple[str, int]]) -> None:
        """Bring the incidents of these (cell, hour) pairs up to date. Raises StoreError."""
        spans: dict[str, tuple[int, int]] = {}
        for cell, hour in touched:
            low, high = spans.get(cell, (hour, hour))
            spans[cell] = min(low, hour), max(high, hour)
        if not spans:
            return
        concerned: dict[str, set[Technique]] = {}
        for cell, technique in [*self._concerned(spans), *self._elsewhere(spans)]:
            concerned.setdefault(cell, set()).add(technique)
        for some in chunks(sorted(concerned), _AT_ONCE):
            self._tell({cell: concerned[cell] for cell in some})

    def _concerned(self, spans: Mapping[str, tuple[int, int]]) -> list[tuple[str, Technique]]:
        """The series with each technique of which there was anything around those hours, or of which an incident
        covers them."""
        found = self._bad_around(spans, f"cell IN {listed(spans)}", {cell: [cell] for cell in spans})
        for cell, technique, since, until in self._link.rows(
            "ssii", "SELECT cell, technique, since, until FROM incidents FINAL"
            f" WHERE cell IN {listed(spans)} AND gone = 0",
        ):  # fmt: skip
            low, high = spans[cell]
            if since <= high + REACH and until >= low - REACH:
                found.append((cell, technique))
        return [(cell, what) for cell, what in found if what in TECHNIQUES]

    def _elsewhere(self, spans: Mapping[str, tuple[int, int]]) -> list[tuple[str, Technique]]:
        """Other series of the same target that looked like an outage in those hours: what is found here tells them."""
        kinds = self._kinds(f"cell IN {listed(spans)}")
        by_target: dict[tuple[str, str], list[str]] = {}
        for cell, kind in kinds.items():
            by_target.setdefault((kind.measurement, kind.target), []).append(cell)
        others = self._kinds(f"(measurement, target) IN {listed(by_target)}")
        near = {
            cell: [one for one in by_target[kind.measurement, kind.target] if one != cell]
            for cell, kind in others.items()
        }
        near = {cell: some for cell, some in near.items() if some}
        if not near:
            return []
        where = f"what IN {listed(sorted(OUTAGE_LIKE))} AND cell IN {listed(near)}"
        return [(cell, what) for cell, what in self._bad_around(spans, where, near) if what in OUTAGE_LIKE]

    def _bad_around(
        self, spans: Mapping[str, tuple[int, int]], where: str, near: Mapping[str, Collection[str]]
    ) -> list[tuple[str, Technique]]:
        """(cell, what) that was found within reach of what happened in any of the cells that it is ``near`` to."""
        low, high = min(a for a, _ in spans.values()) - REACH, max(b for _, b in spans.values()) + REACH
        found = set()
        for cell, what, hour in self._link.rows(
            "ssi", f"SELECT DISTINCT cell, what, hour FROM hourly WHERE {where} AND what NOT IN {_GOOD}"
            f" AND hour BETWEEN {low} AND {high}",
        ):  # fmt: skip
            name = cell
            if any(spans[one][0] - REACH <= hour <= spans[one][1] + REACH for one in near[name]):
                found.add((name, what))
        return sorted(found)

    def _kinds(self, where: str) -> dict[str, _Kind]:
        rows = self._link.rows(
            "ssssss", f"SELECT cell, country, operator, access, measurement, target FROM series FINAL WHERE {where}"
        )
        return {cell: _Kind(*parts) for cell, *parts in rows}

    def _tell(self, concerned: Mapping[str, Collection[Technique]]) -> None:
        kinds = self._kinds(f"cell IN {listed(concerned)}")
        hourly: dict[str, list[Row]] = {cell: [] for cell in concerned}
        for cell, hour, probe, what, n, first, last in self._link.rows(
            "sissiii", "SELECT cell, hour, probe, what, n, first, last FROM hourly FINAL"
            f" WHERE cell IN {listed(concerned)}",
        ):  # fmt: skip
            hourly[cell].append((hour, probe, what, n, first, last))
        known: dict[tuple[str, str], dict[str, Incident]] = {}
        for incident_id, cell, technique, body in self._link.rows(
            "sssb", "SELECT id, cell, technique, body FROM incidents FINAL"
            f" WHERE cell IN {listed(concerned)} AND gone = 0 ORDER BY since",
        ):  # fmt: skip
            known.setdefault((cell, technique), {})[incident_id] = _INCIDENT.decode(body)
        stays, rows = stays_of(self._link), []
        failing = self._failing(
            {cell: kinds[cell] for cell, some in concerned.items() if OUTAGE_LIKE.intersection(some)}, stays
        )
        for cell, techniques in concerned.items():
            for technique in sorted(techniques):
                kind = kinds[cell]
                series = Series(
                    kind.country, kind.operator, kind.access, kind.measurement, kind.target, technique
                )
                sights = retold.sights(
                    (row for row in hourly[cell] if row[2] in ("clean", "down", technique)), self._control
                )
                failed = failing[cell] if technique in OUTAGE_LIKE else frozenset[int]()
                rows += self._reconcile(cell, series, sights, failed, stays, known.get((cell, technique), {}))
        insert(self._link, "incidents", rows)

    def _reconcile(
        self, cell: str, series: Series, sights: list[Sight], failed: frozenset[int], stays: list[Stay],
        known: Mapping[str, Incident],
    ) -> list[tuple[object, ...]]:  # fmt: skip
        # No clock: what lasts is told up to the last word that there is: the same findings always tell the same.
        now = max((sight.hour for sight in sights), default=0) + HOUR
        first: dict[str, int] = {}
        for sight in sights:
            first[sight.probe] = min(sight.hour, first.get(sight.probe, sight.hour))
        homes = together(first, stays, own=self._own_homes) if stays else {}  # the broker told of nobody
        changed, gone = retold.reconcile(
            known, incidents(series, sights, now=now, failing=failed, prefix_of=homes)
        )
        rows: list[tuple[object, ...]] = []
        for name, one in changed:
            self._change += 1
            rows.append((
                name, cell, series.technique, one.state, one.began.until, retold.end(one), msgspec.json.encode(one), 0,
                self._change,
            ))  # fmt: skip
        for name in gone:  # late deliveries have shown that it was none, or one with another
            self._change += 1
            rows.append((name, cell, series.technique, "", 0, 0, b"", 1, self._change))
        return rows

    def _failing(self, kinds: Mapping[str, _Kind], stays: list[Stay]) -> dict[str, frozenset[int]]:
        """Cell → hours in which its target failed for everybody."""
        if not kinds:
            return {}
        targets = {(kind.measurement, kind.target) for kind in kinds.values()}
        everywhere = self._kinds(f"(measurement, target) IN {listed(targets)}")
        worst: dict[tuple[str, str], dict[tuple[str, int, str], int]] = {}
        for cell, hour, probe, word in self._link.rows(
            "sisi", "SELECT cell, hour, probe, toInt64(max(multiIf(what = 'clean', 0, what = 'down', 1, 2)))"
            f" FROM hourly WHERE cell IN {listed(everywhere)} AND what <> 'inconclusive' GROUP BY cell, hour, probe",
        ):  # fmt: skip
            kind = everywhere[cell]
            words, key = worst.setdefault((kind.measurement, kind.target), {}), (kind.country, hour, probe)
            words[key] = max(word, words.get(key, 0))
        found = {}
        for cell, kind in kinds.items():
            rows = [(*key, word) for key, word in worst.get((kind.measurement, kind.target), {}).items()]
            first = retold.first_hours(rows, self._control)
            homes = together(first, stays, own=self._own_homes) if stays else {}
            found[cell] = retold.failing_hours(rows, kind.country, self._control, homes)
        return found


def stays_of(link: Link) -> list[Stay]:
    """Behind which prefixes the probes were, and when; a probe was behind its first one before, too, as far as anybody
    knows. Raises StoreError."""
    rows = link.rows("sis", f"SELECT probe, since, home FROM homes ORDER BY since DESC LIMIT {MOST} BY probe")
    by_probe: dict[str, list[tuple[int, str]]] = {}
    for probe, since, home in rows:
        by_probe.setdefault(probe, []).append((since, home))
    found = []
    for probe, some in by_probe.items():
        some.sort()
        ends = [since for since, _ in some[1:]] + [END]
        found += [
            Stay(probe, home, since if number else 0, end)
            for number, ((since, home), end) in enumerate(zip(some, ends, strict=True))
        ]
    return found
