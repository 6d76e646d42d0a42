"""What the API asks a store for, as values."""

from __future__ import annotations

import msgspec

from probe.collector.public import Operator
from probe.model.finding import Verdict

MOST = 5000
"""Most findings in one answer of a store."""
MOST_INCIDENTS = 10_000
"""Most incidents that are asked of it."""


class Place(msgspec.Struct, frozen=True):
    """Where a page of findings ends: their order is newest first by ``time`` (ms), then by id, downwards."""

    time: int
    id: str


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings are wanted; what is empty or None asks for nothing.

    ``operators``: only of these. ``target``: what was asked for, or its name. ``since`` ≤ time < ``until``, in ms; the
    time of an undated finding is when it was received. ``after``: those that come after this place.
    """

    operators: frozenset[Operator]
    target: str = ""
    measurement: str = ""
    verdict: Verdict | None = None
    since: int | None = None
    until: int | None = None
    after: Place | None = None
    limit: int = 100
