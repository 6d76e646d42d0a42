"""What a study needs, read from a store."""

from __future__ import annotations

from collections.abc import Collection

from probe.collector.public import K, operator_of, shown
from probe.collector.search import MOST_INCIDENTS
from probe.collector.store import Reader
from probe.collector.study.figures import DAY, Figures, figures
from probe.collector.study.months import before, bounds
from probe.model.errors import UsageError

MONTHS = 6
"""Months of the trend, the one of the study included."""


def countries(reader: Reader, month: str) -> list[str]:
    """Countries in which anything was measured in a month. Raises UsageError, StoreError."""
    since, until = bounds(month)
    return sorted({look.country for look in reader.looks(since, until - 1)})


def gather(reader: Reader, month: str, country: str, now: int, consents: Collection[str] = ()) -> Figures:
    """The figures of a country's month. ``now`` in ms; ``consents``: probes whose owners agreed to be the only one of
    their operator. Raises UsageError for a month that has not begun or a country of which nothing is known, StoreError.
    """
    since, until = bounds(month)
    if since > now:
        raise UsageError(f"--month: {month} has not begun")
    looks = [look for look in reader.looks(since, until - 1) if look.country == country]
    if not looks:
        raise UsageError(f"nothing was measured in {country or 'any country'} in {month}")
    # Two probes of one home are no crowd, which the looks can't tell.
    crowd = [(line, probe) for line, probe in reader.crowd(bounds(before(month, MONTHS)[0])[0])
             if line.country == country]  # fmt: skip
    agreed = {operator_of(line) for line, probe in crowd if probe in consents}
    allowed = {one[1]: 1 if one in agreed else K for one in shown(crowd, consents, reader.homes())}
    history = reader.history(sorted({look.target for look in looks}), since, until, DAY)
    earlier = []
    for one in before(month, MONTHS):
        first, last = bounds(one)
        earlier.append((one, looks if one == month else reader.looks(first, last - 1)))
    return figures(country, month, (since, until), looks, history, reader.incidents(MOST_INCIDENTS), earlier, now,
                   allowed)  # fmt: skip
