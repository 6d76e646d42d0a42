"""The public feed where several collectors store: told by the one that settles, of what any of them stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from probe.collector.public import Post
from probe.collector.public_feed import PublicFeed
from probe.collector.sqlite_reader import MOST_CELLS
from probe.collector.store import Reader
from probe.model.finding import Finding


class SharedFeed(PublicFeed):
    """Implements what the subscriber needs of :class:`PublicFeed`. ``settles``: whether it is this collector that does;
    the others say nothing, or everything would be said several times."""

    def __init__(
        self, reader: Reader, consents: Collection[str], now: Callable[[], int], settles: Callable[[], bool]
    ) -> None:
        super().__init__(reader, consents, now)
        self._settles, self._told_until, self._speaking = settles, 0, False

    def begin(self) -> None:
        self._told_until, self._speaking = 0, False

    def touched(self, findings: Iterable[Finding]) -> None:
        """Nothing: the store tells what has changed, whoever stored it, once it is settled."""

    def due(self) -> list[Post]:
        if not self._settles():
            self._speaking = False
            return []
        if self._now() < self._next:
            return []
        if not self._speaking:
            super().begin()
            self._speaking = True
        while cells := self._reader.cells(self._told_until):
            self._told_until = cells[-1].change
            for cell in cells:
                self._wait(cell.measurement, cell.line, cell.target)
            if len(cells) < MOST_CELLS:
                break
        return super().due()
