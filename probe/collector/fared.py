"""How everybody fared with everything: probes' hours counted up to homes. Pure; for any store."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from probe.collector.incidents.cases import MOSTLY, Look
from probe.collector.incidents.homes import Stay, together

Key = TypeVar("Key", bound=Hashable)
"""By which a store knows a series."""


def looks(
    hours: Iterable[tuple[Key, str, int, int]], series: Mapping[Key, Sequence[str]], home_of: Mapping[str, str]
) -> list[Look]:
    """How many homes saw each series work in MOSTLY of their hours, and how many did not; ordered by what they are of.

    ``hours``: (series, probe, hours in which it measured, of these those in which it found interference); the hours of
    a home are those of its probes, added up. ``series``: country, operator, access, measurement, target and group of
    each. ``home_of``: probe → the name of its home; a probe that is not in it is one of its own.
    """
    counts: dict[Key, dict[str, tuple[int, int]]] = {}
    for number, probe, seen, bad in hours:
        homes = counts.setdefault(number, {})
        home = home_of.get(probe, probe)
        before = homes.get(home, (0, 0))
        homes[home] = before[0] + seen, before[1] + bad
    found = []
    for number, homes in counts.items():
        good = sum(seen - bad >= MOSTLY * seen for seen, bad in homes.values())
        named = dict(zip(Look.__struct_fields__, (*series[number], good, len(homes) - good), strict=True))
        found.append(msgspec.convert(named, Look))
    return sorted(found, key=lambda look: (look.country, look.operator, look.access, look.measurement, look.target))


def homes(probes: Iterable[str], stays: Sequence[Stay], until: int, *, own: bool) -> dict[str, str]:
    """Probe → its home's name at the end of an interval (ms), by :func:`~.incidents.homes.together`: those that were
    behind one prefix at the same time within the month before it are one. Empty where the broker tells of nobody."""
    return together(dict.fromkeys(probes, until), stays, own=own) if stays else {}
