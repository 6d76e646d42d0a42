"""The tables of a study as CSV (RFC 4180), for a spreadsheet: one file a table, English heads, shares from 0 to 1."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from probe.collector.instants import to_text
from probe.collector.study.figures import Figures

_RISKY = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins so (OWASP, "CSV injection")


def tables(figures: Figures) -> list[tuple[str, bytes]]:
    """Name → content of each table."""
    month, country = figures.month, figures.country
    return [
        ("operators.csv", _csv(
            ("month", "country", "asn", "operator", "homes_at_least", "targets", "targets_cut", "pairs", "pairs_cut",
             "share_low_95", "share_high_95", "results", "results_interfered", "results_server_down",
             "results_inconclusive", "days_without_results", "incidents"),
            ((month, country, o.key, o.name, o.homes, o.targets, o.cut_targets, o.pairs, o.cut, round(o.low, 4),
              round(o.high, 4), o.made, o.bad, o.down, o.unsure, o.silent, o.incidents) for o in figures.operators),
        )),
        ("techniques.csv", _csv(
            ("month", "country", "asn", "technique", "measurement", "results", "targets"),
            ((month, country, t.operator, t.technique, t.measurement, t.results, t.targets)
             for t in figures.techniques),
        )),
        ("incidents.csv", _csv(
            ("id", "country", "asn", "access", "measurement", "target", "technique", "state", "began_after",
             "began_by", "ended_after", "ended_by", "homes", "heard", "sure", "share"),
            ((row.id, one.series.country, one.series.operator, one.series.access, one.series.measurement,
              one.series.target, one.series.technique, one.state, _instant(one.began.after),
              _instant(one.began.until), _instant(one.ended.after if one.ended else 0),
              _instant(one.ended.until if one.ended else 0), one.homes, one.heard, round(one.sure, 4),
              round(one.share, 4)) for row in figures.incidents for one in (row.incident,)),
        )),
        ("trend.csv", _csv(
            ("month", "country", "asn", "pairs", "pairs_cut"),
            ((one.month, country, one.operator, one.pairs, one.cut) for one in figures.trend),
        )),
    ]  # fmt: skip


def _instant(at: int) -> str:
    """To the minute: a second could tell which home it was."""
    return to_text(at - at % 60_000) if at else ""


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _plain(value: object) -> object:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) else value
