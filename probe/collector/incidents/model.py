"""What incidents are made of, and what they say. Times are milliseconds since the Unix epoch, UTC; 0 is "never"."""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.model.finding import Access, Technique

State = Literal["suspected", "open", "closed"]
Stance = Literal["good", "bad", "mixed"]
Counted = Literal["probe", "prefix", "mixed"]

HOUR = 3_600_000


class Series(msgspec.Struct, frozen=True, order=True):
    """What is followed through time: one kind of interference with one target, on one operator's lines of one kind."""

    country: str
    operator: str  # as `cells.operator_key` has it
    access: Access
    measurement: str
    target: str
    technique: Technique


class Sight(msgspec.Struct, frozen=True):
    """What one probe saw of a series in one hour: a row of the roll-up.

    ``bad``: findings of the series' technique; ``good``: clean ones; ``down``: those by which the target failed for the
    control vantage too. Inconclusive ones, and other techniques, say nothing.
    """

    probe: str
    hour: int  # its beginning
    good: int = 0
    bad: int = 0
    down: int = 0
    first_good: int = 0
    last_good: int = 0
    first_bad: int = 0
    last_bad: int = 0


class Bounds(msgspec.Struct, frozen=True):
    """When something changed: after the one, not after the other. 0: nobody measured before (or since)."""

    after: int
    until: int


class Exemption(msgspec.Struct, frozen=True):
    """Homes for which it worked while it was cut for the others. ``until`` 0: it still does."""

    homes: int
    since: int
    until: int
    probes: tuple[str, ...]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One interval of interference in one series.

    ``began``: (last good, first bad]; ``ended``: [last bad, first good), None while it lasts. ``homes`` saw it of
    ``heard`` independent ones; ``dissent``: probes that never did although they looked. ``share``: bad findings of all
    that were good or bad, at the middle one of the homes that saw it; ``hours``: of all of them, by hour of the day
    (UTC), as (bad, all).
    ``silent``: intervals in which nobody measured. ``sure``: lower end of the 95 % interval of the share of homes that
    saw it (Wilson, 1927). ``counted``: what told homes apart: their public prefixes or, where the broker tells none,
    the probes alone, several of which may then be of one home.
    """

    series: Series
    state: State
    began: Bounds
    ended: Bounds | None
    homes: int
    heard: int
    dissent: tuple[str, ...]
    share: float
    hours: tuple[tuple[int, int], ...]
    intermittent: bool
    exemptions: tuple[Exemption, ...]
    silent: tuple[tuple[int, int], ...]
    sure: float
    counted: Counted = "probe"
