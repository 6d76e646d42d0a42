"""What was measured of a target through time, by the hourly roll-up: the rows, and their query in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.collector.incidents.model import HOUR
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
    """
    query = (
        "SELECT s.country, s.operator, s.named, s.access, s.measurement, s.target, h.hour / ?1 * ?1 AS start, h.what,"
        " sum(h.n), count(DISTINCT h.probe) FROM series s JOIN hourly h ON h.series = s.id"
        " WHERE s.target IN (SELECT value FROM json_each(?2)) AND h.hour >= ?3 AND h.hour < ?4"
        " GROUP BY s.id, 7, h.what ORDER BY s.id, 7, h.what"
    )
    return query, [slot, msgspec.json.encode(list(targets)).decode(), since, until]


def row(values: Sequence[object]) -> HistoryRow:
    """A row of the query."""
    return msgspec.convert(dict(zip(HistoryRow.__struct_fields__, values, strict=True)), HistoryRow)
