"""A series through time: its incidents, each between the last good and the first bad result, and back.

A function of what is stored alone: late and repeated deliveries, in any order, change nothing in the end.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from probe.collector.incidents.homes import Home, homes_of, weights, words_of
from probe.collector.incidents.machine import Phase, sign, step
from probe.collector.incidents.model import HOUR, Incident, Series, Sight, Stance
from probe.collector.incidents.told import tell

OUTAGE_LIKE = frozenset({"ip_blackhole", "icmp_reject"})
"""Techniques that a server which is down, or whose own upstream drops its packets, looks like from one line."""


def incidents(
    series: Series, sights: Iterable[Sight], *, now: int, failing: AbstractSet[int] = frozenset(),
    prefix_of: Mapping[str, str] | None = None,
) -> list[Incident]:  # fmt: skip
    """All incidents of a series, oldest first: the definition, in one go. What a store follows instead
    (:mod:`.follow`) is held against it.

    ``failing``: hours in which the target failed for those who measured it outside as well (the control vantage, other
    countries): what looks like an outage is none of anybody's doing then. ``prefix_of``: probe → a name of its public
    prefix, where known. ``now`` in ms.
    """
    if series.technique in OUTAGE_LIKE:
        sights = [void(sight) if near(sight.hour, failing) else sight for sight in sights]
    homes = homes_of(sights, prefix_of or {})
    words = words_of(homes)
    eventful = {hour for home in homes.values() for hour, bad in zip(home.hours, home.bad, strict=True) if bad}
    return read(series, homes, words, weights(words), eventful, now)


def read(
    series: Series, homes: Mapping[str, Home], words: Mapping[int, Mapping[str, Stance]], weight: Mapping[str, float],
    eventful: Container[int], now: int,
) -> list[Incident]:  # fmt: skip
    """The incidents in what homes said, hour by hour and in order. ``eventful``: hours with a bad result."""
    found: list[Incident] = []
    phase, since = Phase.QUIET, 0
    for hour, said in words.items():
        if phase is Phase.QUIET and hour not in eventful:
            continue  # years of good results cost nothing
        after = step(phase, sign(said, weight))
        if phase is Phase.OPEN and after is not phase:
            found.append(tell(series, homes, weight, since, hour, now))
        if after is not phase:
            since = hour
        phase = after
    if phase is Phase.OPEN:
        found.append(tell(series, homes, weight, since, 0, now))
    return found


def void(sight: Sight) -> Sight:
    """Without its bad results, which tell of an outage."""
    return msgspec.structs.replace(sight, down=sight.down + sight.bad, bad=0, first_bad=0, last_bad=0)


def near(hour: int, failing: AbstractSet[int]) -> bool:
    """Whether it failed outside within the hour, or in the one before or after: nobody measures at the same minute."""
    return any(one in failing for one in (hour - HOUR, hour, hour + HOUR))
