"""Who else may be named in a dossier: what a single home measures of its operator would be said of that home."""

from __future__ import annotations

from collections.abc import Collection

from probe.collector.public import Operator
from probe.collector.public_reader import PublicReader
from probe.collector.store import IncidentRow, Reader


class Beside(PublicReader):
    """A store in which operators that a single home measured, at the time of an incident, are not there, unless its
    owner agreed; the incident's own operator is: whoever asks for the dossier names it."""

    def __init__(self, reader: Reader, row: IncidentRow, consents: Collection[str], now: int) -> None:
        """``consents``: probes whose owners agreed; ``now`` in ms: the end of an incident that lasts."""
        last = row.incident.ended.after if row.incident.ended is not None else now
        super().__init__(reader, consents, lambda: last)
        self._own: Operator = (row.incident.series.country, row.incident.series.operator)

    def operators(self) -> frozenset[Operator]:
        """Those that may be named."""
        return self._operators()

    def _operators(self) -> frozenset[Operator]:
        return super()._operators() | {self._own}
