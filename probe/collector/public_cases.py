"""What is told of cases on the feed: one that begins, grows, ends. Pure but for the reader that it is given."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from probe.collector import public
from probe.collector.casebook import MOST, gathered
from probe.collector.public import Operator, Post
from probe.collector.rest_cases import item
from probe.collector.rest_types import CaseItem, PublicCaseEvent
from probe.collector.store import Reader
from probe.model import feed


class PublicCases:
    """Remembers what was told. Owned by one thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._told: dict[str, CaseItem] | None = None

    def due(self, changed: Collection[str], shown: Collection[Operator], now: int) -> list[Post]:
        """What there is to tell, after these incidents changed. ``now`` in ms. Raises StoreError."""
        if self._told is not None and not changed:
            return []
        rows = [row for row in self._reader.incidents(MOST) if public.tellable(row.incident, shown)]
        cases = {rows[0].id: item(rows) for rows in gathered(rows)}
        before, self._told = self._told, cases
        if before is None:  # what happened before the start is in the store, for those who ask
            return []
        posts = []
        for case in cases.values():
            event = event_of(_earlier(case, before.values()), case)
            if event is not None and not set(changed).isdisjoint(case.incidents):
                message = PublicCaseEvent(event=event, case=case, at=public.minute(now))
                posts.append(Post(feed.public_case(event), msgspec.json.encode(message), message.schema))
        return posts


def event_of(before: CaseItem | None, after: CaseItem) -> feed.Event | None:
    """What happened to a case; None: nothing that a reader need hear of."""
    if after.ended is not None and (before is None or before.ended is None):
        return "closed"
    if before is None or (before.ended is not None and after.ended is None):
        return "opened"
    return "updated" if before != after else None


def _earlier(case: CaseItem, told: Iterable[CaseItem]) -> CaseItem | None:
    """The same case as it was told. Late findings may have given it another first incident, or joined two into one."""
    known = set(case.incidents)
    some = [one for one in told if not known.isdisjoint(one.incidents)]
    return max(some, key=lambda one: (len(known & set(one.incidents)), one.id), default=None)
