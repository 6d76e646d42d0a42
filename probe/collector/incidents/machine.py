"""Quiet, suspected, open, quiet again: the states of a series, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from probe.collector.incidents.model import Stance

QUORUM = 2
"""Independent homes that must see it before it is an incident."""
HALF, FEW, SOME = 0.5, 0.25, 1 / 3
"""Shares of the weight heard: bad from a half on; good while a quarter at the most says otherwise; odd from a third."""


class Phase(Enum):
    """Where a series stands."""

    QUIET = "quiet"
    SUSPECTED = "suspected"
    OPEN = "open"


class Sign(Enum):
    """What its homes say together."""

    BAD = "bad"
    GOOD = "good"
    ODD = "odd"  # some say so, too few for more
    UNCLEAR = "unclear"
    SILENT = "silent"


_TABLE: dict[tuple[Phase, Sign], Phase] = {
    (Phase.QUIET, Sign.BAD): Phase.OPEN,
    (Phase.QUIET, Sign.ODD): Phase.SUSPECTED,
    (Phase.SUSPECTED, Sign.BAD): Phase.OPEN,
    (Phase.SUSPECTED, Sign.GOOD): Phase.QUIET,
    (Phase.OPEN, Sign.GOOD): Phase.QUIET,
}
"""What is not listed changes nothing: silence ends no incident."""


def step(phase: Phase, sign: Sign) -> Phase:
    """The next phase."""
    return _TABLE.get((phase, sign), phase)


def sign(words: Mapping[str, Stance], weight: Mapping[str, float]) -> Sign:
    """What the homes say together. ``words``: home → stance of those heard lately."""
    if not words:
        return Sign.SILENT
    kinds = set(words.values())
    if len(kinds) == 1 and len(words) >= QUORUM and "mixed" not in kinds:  # whatever they weigh
        return Sign.BAD if "bad" in kinds else Sign.GOOD
    bad = [name for name, said in words.items() if said == "bad"]
    heard = sum(weight[name] for name in words)
    against = sum(weight[name] for name in bad) / heard
    good = sum(weight[name] for name, said in words.items() if said == "good") / heard
    if len(bad) >= QUORUM and against >= HALF:
        return Sign.BAD
    if good >= 1 - FEW:
        return Sign.GOOD
    return Sign.ODD if bad and against >= SOME else Sign.UNCLEAR
