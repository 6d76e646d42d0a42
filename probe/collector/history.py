"""What was measured of a target through time, by the hourly roll-up: the rows, and their query in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.collector.incidents.model import HOUR
from probe.collector.instants import DAY
from probe.model.finding import Access

WHOLE = HOUR * 10**9
"""A slot that holds all there is, for those who want no slots."""


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """Results of one kind in one slot of time: ``n`` of them, by so many ``probes``.

    ``operator``: as `cells.operator_key` has it; ``named``: as it was last told. ``start``: the slot's beginning, ms.
    ``what``: a verdict or, where interfered, the technique.
    """

    country: str
    operator: str
    named: str
    access: Access
    measurement: str
    target: str
    start: int
    what: str
    n: int
    probes: int


def statement(targets: Sequence[str], since: int, until: int, slot: int) -> tuple[str, list[object]]:
    """The query and its arguments; rows: the fields of a :class:`HistoryRow`.

    ``targets``: what was asked for; ``since`` ≤ hour < ``until``, in ms; ``slot``: a number of whole hours, in ms.
    Where slots are whole days, the days within are taken from the daily roll-up, the hours at the ends from the other.
    """
    first, last = -(-since // DAY) * DAY, until // DAY * DAY
    if (slot % DAY and slot < WHOLE) or first >= last:
        first = last = until
    # What is sorted to be grouped is as narrow as can be: the words about a series are joined to the groups.
    wanted = "series IN (SELECT id FROM series WHERE target IN (SELECT value FROM json_each(?2)))"
    query = (
        "SELECT country, operator, named, access, measurement, target, start, what, seen, probes FROM ("  # noqa: S608
        " SELECT series, at / ?1 * ?1 AS start, what, sum(n) AS seen, count(DISTINCT probe) AS probes FROM ("
        f" SELECT series, day AS at, what, n, probe FROM daily WHERE {wanted} AND day >= ?5 AND day < ?6"
        " UNION ALL"
        f" SELECT series, hour, what, n, probe FROM hourly WHERE {wanted} AND hour >= ?3 AND hour < min(?4, ?5)"
        " UNION ALL"
        f" SELECT series, hour, what, n, probe FROM hourly WHERE {wanted} AND hour >= ?6 AND hour < ?4"
        ") GROUP BY series, start, what"
        ") JOIN series s ON s.id = series ORDER BY series, start, what"
    )
    return query, [slot, msgspec.json.encode(list(targets)).decode(), since, until, first, last]


def row(values: Sequence[object]) -> HistoryRow:
    """A row of the query."""
    return msgspec.convert(dict(zip(HistoryRow.__struct_fields__, values, strict=True)), HistoryRow)
