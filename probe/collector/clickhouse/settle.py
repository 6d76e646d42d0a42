"""The pass that follows from what is stored: roll-up, standings, cells and incidents, for what the journal says is new.

One collector does it for all (:mod:`lease`). Everything is computed from the results and written whole, so that doing
it twice, or by two at once for a moment, gives the same. The place in the journal is kept by the server's own clock;
what was inserted while another insert took its time is found all the same, since a while is looked back each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from probe.collector.cells import Standing, column_key, settle
from probe.collector.clickhouse.batch import Touched
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.marks import SETTLED, Marks
from probe.collector.clickhouse.rowbinary import chunks, listed
from probe.collector.clickhouse.standing import Result, follow, is_late, newest_of
from probe.collector.clickhouse.tables import insert
from probe.collector.clickhouse.telling import Telling
from probe.collector.incidents.model import HOUR
from probe.model.errors import StoreError
from probe.model.finding import Finding, Line, Verdict

LOOK_BACK = 120
"""Seconds of the journal that are looked at again: longer than any INSERT takes, or than clocks of servers differ."""
MOST_BATCHES, MOST_RESULTS = 200, 20_000
"""Most that one pass takes on."""

_FINDING = msgspec.json.Decoder(Finding)
_TOUCHED = msgspec.json.Decoder(Touched)
_AT = 10**14
"""Added to an instant (ms) before it is compared as text, so that all have one length."""

Pair = tuple[str, str]
"""(cell, probe)."""
Triple = tuple[str, str, int]
"""(cell, probe, hour)."""
Rows = Mapping[Triple, Mapping[str, tuple[Result, str]]]
"""By id: results, each with what it is counted as."""


class Settler:
    """Not for several threads. ``control``: probes of the control vantage; ``own_homes``: see the configuration."""

    def __init__(
        self, link: Link, tick: Callable[[], int], control: Collection[str] = (), *, own_homes: bool = False
    ) -> None:
        self._link, self._tick, self._marks = link, tick, Marks(link, tick)
        self._telling = Telling(link, control, own_homes=own_homes)
        self._mark: int | None = None  # the server's clock, seconds: all of the journal before it is done
        self._done: dict[str, int] = {}
        self._change = 0

    def begin(self) -> None:
        """Somebody else did it until now: forget what is remembered."""
        self._mark = None

    def settle(self) -> bool:
        """One pass; False if there was nothing new. Raises StoreError, and then the next one does it again."""
        if self._mark is None:
            self._remember()
        entries = self._new()
        if not entries:
            return False
        touched = [_TOUCHED.decode(said) for _, said, _ in entries]
        results = {one for some in touched for one in some.results}
        if results:
            self._results(results)
        homes = {probe for some in touched for probe in some.homes}
        spans = [(cell, hour) for cell, _, hour in results]
        if homes:
            spans += self._telling.moved(homes, everybody=any(some.first_home for some in touched))
        self._telling.refresh(spans)
        self._advance(entries)
        return True

    def _remember(self) -> None:
        ((self._change,),) = self._link.rows("i", "SELECT max(change) FROM cells")
        self._telling.begin()
        self._done.clear()
        self._mark = self._marks.get(SETTLED)

    def _new(self) -> list[tuple[str, bytes, int]]:
        """Entries of the journal that are still to be done, oldest first."""
        since = f"stamp >= toDateTime({max(0, (self._mark or 0) - LOOK_BACK)})"
        rows = self._link.rows("si", f"SELECT batch, toInt64(toUnixTimestamp(stamp)) FROM journal WHERE {since}")
        due = sorted({(stamp, batch) for batch, stamp in rows if batch not in self._done})
        if not due:
            return []
        bodies = dict(self._link.rows(
            "sb", f"SELECT batch, touched FROM journal WHERE {since}"
            f" AND batch IN {listed([batch for _, batch in due[:MOST_BATCHES]])}",
        ))  # fmt: skip
        found, size = list[tuple[str, bytes, int]](), 0
        for stamp, batch in due[:MOST_BATCHES]:
            found.append((batch, bodies[batch], stamp))
            size += bodies[batch].count(b"[")
            if size >= MOST_RESULTS:
                break
        return found

    def _advance(self, entries: list[tuple[str, bytes, int]]) -> None:
        newest = max(stamp for *_, stamp in entries)
        self._done.update((batch, stamp) for batch, _, stamp in entries)
        self._marks.set(SETTLED, newest)
        self._mark = max(self._mark or 0, newest)
        self._done = {batch: stamp for batch, stamp in self._done.items() if stamp >= self._mark - LOOK_BACK}

    def _results(self, touched: Collection[Triple]) -> None:
        hours: dict[Pair, set[int]] = {}
        for cell, probe, hour in touched:
            hours.setdefault((cell, probe), set()).add(hour)
        everyone = self._standings({cell for cell, _ in hours})
        asked = set(touched)
        for cell, probe in hours:
            before = everyone[cell].get(probe)
            if before is not None:
                asked.add((cell, probe, before.at // HOUR * HOUR))
        rows = self._rows_of(asked)
        self._roll_up(touched, rows)
        self._follow(hours, everyone, rows)
        self._cells(hours, everyone)

    def _standings(self, cells: Collection[str]) -> dict[str, dict[str, Standing]]:
        found: dict[str, dict[str, Standing]] = {cell: {} for cell in cells}
        for some in chunks(sorted(cells), 5000):
            for cell, probe, finding_id, at, verdict, since in self._link.rows(
                "sssisi", "SELECT cell, probe, finding_id, at, verdict, since FROM standings FINAL"
                f" WHERE cell IN {listed(some)}",
            ):  # fmt: skip
                name = probe
                found[cell][name] = Standing(name, finding_id, at, verdict, since)
        return found

    def _rows_of(self, asked: Collection[Triple]) -> Rows:
        found: dict[Triple, dict[str, tuple[Result, str]]] = {one: {} for one in asked}
        for some in chunks(sorted(asked), 5000):
            for cell, hour, probe, at, finding_id, verdict, what in self._link.rows(
                "sisisss", "SELECT cell, hour, probe, at, id, verdict, what FROM results"
                f" WHERE (cell, hour, probe) IN {listed((cell, hour, probe) for cell, probe, hour in some)}",
            ):  # fmt: skip
                result = Result(at, finding_id, verdict)
                found[cell, probe, hour][result.id] = result, what
        return found

    def _roll_up(self, touched: Iterable[Triple], rows: Rows) -> None:
        version, hourly = self._tick(), []
        for cell, probe, hour in sorted(touched):
            kinds: dict[str, list[int]] = {}
            for result, what in rows[cell, probe, hour].values():
                kinds.setdefault(what, []).append(result.at)
            hourly += [
                (cell, hour, probe, what, len(at), min(at), max(at), version) for what, at in sorted(kinds.items())
            ]
        self._insert("hourly", hourly)

    def _follow(
        self, hours: Mapping[Pair, Collection[int]], everyone: Mapping[str, dict[str, Standing]], rows: Rows
    ) -> None:
        """Bring the standings of these pairs up to date."""
        untold = []
        for (cell, probe), some in hours.items():
            before = everyone[cell].get(probe)
            after = None
            if not is_late(before, some):
                asked = {*some, before.at // HOUR * HOUR} if before is not None else some
                after = follow(probe, before, (one for hour in asked for one, _ in rows[cell, probe, hour].values()))
            if after is None:
                untold.append((cell, probe))
            else:
                everyone[cell][probe] = after
        for pairs in chunks(sorted(untold), 500):
            for cell, standing in self._from_all(pairs):
                everyone[cell][standing.probe] = standing
        version = self._tick()
        self._insert("standings", [
            (cell, probe, now.finding_id, now.at, now.verdict, now.since, version)
            for cell, probe in sorted(hours) for now in [everyone[cell][probe]]
        ])  # fmt: skip

    def _from_all(self, pairs: Collection[Pair]) -> list[tuple[str, Standing]]:
        """(cell, standing), by all that there is of these pairs: what came late, or after an inconclusive one."""
        newest: dict[Pair, dict[Verdict, tuple[int, str]]] = {pair: {} for pair in pairs}
        for cell, probe, verdict, last in self._link.rows(
            "ssss", f"SELECT cell, probe, verdict, max(concat(toString({_AT} + at), id)) FROM results"
            f" WHERE (cell, probe) IN {listed(pairs)} AND at >= 0 GROUP BY cell, probe, verdict",
        ):  # fmt: skip
            size = len(str(_AT))
            at, finding_id = int(last[:size]) - _AT, last[size:]
            newest[cell, probe][verdict] = at, finding_id
        told = {pair: newest_of(some) for pair, some in newest.items()}
        asked = " OR ".join(
            f"(cell, probe, verdict) IN {listed([(*pair, verdict)])} AND at > {before}"
            for pair, (verdict, before) in told.items()
        )
        since = {
            (cell, probe): at for cell, probe, at in self._link.rows(
                "ssi", f"SELECT cell, probe, min(at) FROM results WHERE (cell, probe) IN {listed(pairs)}"
                f" AND at >= 0 AND ({asked}) GROUP BY cell, probe",
            )
        }  # fmt: skip
        found = []
        for (cell, probe), (verdict, _) in told.items():
            at, finding_id = newest[cell, probe][verdict]
            found.append((cell, Standing(probe, finding_id, at, verdict, since.get((cell, probe), at))))
        return found

    def _cells(self, hours: Collection[Pair], everyone: Mapping[str, Mapping[str, Standing]]) -> None:
        settled = {cell: settle(everyone[cell].values()) for cell in sorted({cell for cell, _ in hours})}
        findings = self._findings({now.finding_id for now in settled.values()})
        cells, names, crowd = [], set[tuple[str, str]](), dict[Pair, tuple[int, Line]]()
        for cell, now in settled.items():
            f = findings[now.finding_id]
            self._change += 1
            column = column_key(f.line)
            cells.append((
                cell, self._change, column, f.measurement, msgspec.json.encode(f.line), msgspec.json.encode(f.target),
                now.verdict, msgspec.json.encode(f.interference), now.finding_id, now.since, now.last, now.agree,
                now.probes, f.confidence,
            ))  # fmt: skip
            names |= {(name, cell) for name in (f.target.input, f.target.name) if name}
        for cell, probe in sorted(hours):
            heard = everyone[cell][probe].at, findings[settled[cell].finding_id].line
            pair = column_key(heard[1]), probe
            crowd[pair] = max(crowd.get(pair, heard), heard, key=lambda one: one[0])
        self._insert("cell_names", sorted(names))
        self._insert("crowd", [
            (column, probe, msgspec.json.encode(line), at) for (column, probe), (at, line) in sorted(crowd.items())
        ])  # fmt: skip
        self._insert("cells", cells)

    def _findings(self, ids: Collection[str]) -> dict[str, Finding]:
        found: dict[str, tuple[int, Finding]] = {}
        for some in chunks(sorted(ids), 2000):
            for body, kept in self._link.rows("bi", f"SELECT body, kept FROM findings WHERE id IN {listed(some)}"):
                finding = _FINDING.decode(body)
                if kept > found.get(finding.id, (-1, None))[0]:
                    found[finding.id] = kept, finding
        if len(found) < len(ids):
            raise StoreError(f"{len(ids) - len(found)} findings are in the results and not among the findings")
        return {finding_id: finding for finding_id, (_, finding) in found.items()}

    def _insert(self, name: str, rows: list[tuple[Any, ...]]) -> None:
        insert(self._link, name, rows)
