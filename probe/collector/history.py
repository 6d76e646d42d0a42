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
    query = (
        "SELECT country, operator, named, access, measurement, target, at / ?1 * ?1 AS start, what, sum(n),"
        " count(DISTINCT probe) FROM ("
        " SELECT s.*, d.day AS at, d.what, d.n, d.probe FROM series s JOIN daily d ON d.series = s.id"
        " WHERE s.target IN (SELECT value FROM json_each(?2)) AND d.day >= ?5 AND d.day < ?6"
        " UNION ALL"
        " SELECT s.*, h.hour, h.what, h.n, h.probe FROM series s JOIN hourly h ON h.series = s.id"
        " WHERE s.target IN (SELECT value FROM json_each(?2)) AND h.hour >= ?3 AND h.hour < min(?4, ?5)"
        " UNION ALL"
        " SELECT s.*, h.hour, h.what, h.n, h.probe FROM series s JOIN hourly h ON h.series = s.id"
        " WHERE s.target IN (SELECT value FROM json_each(?2)) AND h.hour >= ?6 AND h.hour < ?4"
        ") GROUP BY id, start, what ORDER BY id, start, what"
    )
    return query, [slot, msgspec.json.encode(list(targets)).decode(), since, until, first, last]


def row(values: Sequence[object]) -> HistoryRow:
    """A row of the query."""
    return msgspec.convert(dict(zip(HistoryRow.__struct_fields__, values, strict=True)), HistoryRow)
