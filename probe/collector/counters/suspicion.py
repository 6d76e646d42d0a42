"""Changes of a counter that people, each for themselves, do not make. Pure; times in ms, readings oldest first.

Two signs, each held against the counter's own history of seven days, each with a false alarm a month at the most on a
counter that only people move; the page says the numbers, and that a clean-up by the site looks the same.

**A wave without an ebb.** The change of an interval is compared with the usual pace: the median of the pace, weighted
by time, and the standard deviation from it (without the largest hundredth, so that earlier waves hide no later one),
growing with the square root of the time, no smaller than counting itself makes it (Poisson) and than the page's
rounding. What is so far out that any distribution with one peak gets there once a month at the most (Vysochanskij and
Petunin 1980: 4/9k²) is a wave.
Waves of people come too, after the news; but they ebb. Attention has been measured to halve in 80 minutes (a tweet's
impressions: Pfeffer, Matter and Sargsyan 2023) and in about three hours (links: Bitly 2011), and to die away as a power
law (t to the −1.4 after news from outside: Crane and Sornette 2008). Only a wave that ebbs faster than any that gets
half of its people in 20 minutes, a quarter of the shortest of these, by that law and by the exponential one, is
flagged, and only where the readings are close enough to tell (95 %, by the same inequality).

**Too even a pace.** People who come one by one come at least as unevenly as chance (Poisson; opposite moves and crowds
make it more uneven only). A pace whose variance is smaller, by the dispersion test (Fisher 1950; chi-squared by Wilson
and Hilferty 1931), is a machine's: bought in instalments, or a site that shows an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Literal

import msgspec

from probe.collector import instants
from probe.collector.counters.ledger import Reading

HISTORY = 7 * instants.DAY
MONTH = 30 * instants.DAY
HALF_LIFE = 20 * instants.MINUTE
_THETA = 0.4  # of Crane and Sornette
_CORE = HALF_LIFE / (2 ** (1 / _THETA) - 1)  # so that half has come in HALF_LIFE
LEAST = 20
"""Intervals without which there is no usual pace to speak of."""
EVEN = 24
"""Intervals over which a pace is judged for being too even."""
_LEAST_A_TIME = 5.0  # expected counts below which chi-squared is no good approximation (Cochran 1952)
_LEFT_OUT = 100  # one in so many: the largest
_STEADY = 0.1  # how much intervals of one window may differ in length


class Flag(msgspec.Struct, frozen=True):
    """``by``: the change from ``since`` to ``until``; ``usual``: what was to be expected, give or take ``spread``.

    wave: ``ebb`` went on in the time after it, where people would have left ``due`` at the least.
    even: ``spread`` is what chance makes of such a pace, ``ebb`` how much it was, and ``due`` is 0.
    """

    kind: Literal["wave", "even"]
    since: int
    until: int
    by: int
    usual: float
    spread: float
    ebb: float
    due: float


class _Interval(msgspec.Struct, frozen=True):
    """Between two changes of the number: a page that shows the same as before may be a copy that was kept. ``seen``:
    the last reading that still showed the old one."""

    since: int
    seen: int
    until: int
    by: int
    step: int
    minutes: float


class _Usual(msgspec.Struct, frozen=True):
    """The pace (a minute), and the variance that grows by the minute."""

    pace: float
    variance: float

    def spread(self, interval: _Interval) -> float:
        """Two readings that are each rounded add a sixth of the step's square; at least that of whole numbers."""
        return math.sqrt(self.variance * interval.minutes + interval.step**2 / 6)


def flags(readings: Sequence[Reading], since: int) -> list[Flag]:
    """What is odd from an instant on; the readings before it are its history. Oldest first."""
    found = [*_waves(readings, since), *_even(readings, since)]
    return sorted(found, key=lambda flag: (flag.since, flag.kind))


def _waves(readings: Sequence[Reading], since: int) -> Iterator[Flag]:
    intervals = _intervals(readings)
    for i, interval in enumerate(intervals):
        if interval.until < since:
            continue
        history = [one for one in intervals[max(0, i - 1000) : i] if one.since >= interval.since - HISTORY]
        if len(history) < LEAST:
            continue
        # A page that has changed twice within a time keeps no copy for longer than that.
        kept = min(one.until - one.since for one in history)
        start = max(interval.since, min(interval.seen, interval.until - kept))
        still = readings[-1].at - interval.until
        if i + 1 < len(intervals):
            after = intervals[i + 1]
        elif still >= max(kept, interval.until - start):
            after = _interval(interval.until, readings[-1].at, readings[-1].at, 0, interval.step)
        else:
            continue  # too early to tell
        flag = _wave(_usual(history), interval, start, after)
        if flag is not None:
            yield flag


def _wave(usual: _Usual, interval: _Interval, start: int, after: _Interval) -> Flag | None:
    """``start``: the earliest that what came in an interval can have begun to come."""
    excess = interval.by - usual.pace * interval.minutes
    sign = math.copysign(1.0, excess)
    spread = usual.spread(interval)
    if abs(excess) <= _bound(min(1.0, (interval.until - interval.since) / MONTH)) * spread:
        return None
    ebb = sign * (after.by - usual.pace * after.minutes)
    due = abs(excess) * _remains(interval.until - start, after.until - after.since)
    if ebb + _bound(0.05) * usual.spread(after) >= due:
        return None
    return Flag("wave", start, interval.until, interval.by, usual.pace * interval.minutes, spread, ebb, due)


def _bound(chance: float) -> float:
    """Spreads beyond which any distribution with one peak lies no more often (Vysochanskij and Petunin 1980)."""
    return max(math.sqrt(8 / 3), 2 / (3 * math.sqrt(chance)))


def _remains(wave: int, after: int) -> float:
    """Of a wave that began with its time and has half of its people in HALF_LIFE: what comes in the time after, by what
    came in it. The less of two laws."""
    return min(
        (law(wave) - law(wave + after)) / (1 - law(wave))
        for law in (lambda time: math.exp2(-time / HALF_LIFE), lambda time: (1 + time / _CORE) ** -_THETA)
    )


def _intervals(readings: Sequence[Reading]) -> list[_Interval]:
    found: list[_Interval] = []
    for before, now in pairwise(readings):
        if now.value != before.value:
            start = found[-1].until if found else readings[0].at
            found.append(_interval(start, before.at, now.at, now.value - before.value, max(before.step, now.step)))
    return found


def _interval(since: int, seen: int, until: int, by: int, step: int) -> _Interval:
    return _Interval(since, seen, until, by, step, (until - since) / instants.MINUTE)


def _usual(history: Sequence[_Interval]) -> _Usual:
    paces = sorted([(one.by / one.minutes, one.minutes) for one in history])
    half = sum([minutes for _, minutes in paces]) / 2
    pace = paces[-1][0]
    for value, minutes in paces:
        half -= minutes
        if half <= 0:
            pace = value
            break
    off = sorted([(value - pace) ** 2 * minutes for value, minutes in paces])
    kept = off[: len(off) - max(1, len(off) // _LEFT_OUT)]
    return _Usual(pace, max(sum(kept) / len(kept), abs(pace)))


def _even(readings: Sequence[Reading], since: int) -> Iterator[Flag]:
    """Windows of equal intervals, one after the other, so that none is judged twice."""
    for end in range(len(readings) - 1, EVEN - 1, -EVEN):
        window = readings[end - EVEN : end + 1]
        if window[-1].at < since:
            return
        moves = [after.value - before.value for before, after in pairwise(window)]
        times = [after.at - before.at for before, after in pairwise(window)]
        mean = sum(moves) / EVEN
        steady = max(times) - min(times) <= _STEADY * max(times) and all(reading.step == 1 for reading in window)
        if not steady or abs(mean) < _LEAST_A_TIME:
            continue
        dispersion = sum((move - mean) ** 2 for move in moves) / abs(mean)
        if _chi_squared(dispersion, EVEN - 1) < (window[-1].at - window[0].at) / MONTH:
            spread = math.sqrt(dispersion * abs(mean) / (EVEN - 1))
            yield Flag("even", window[0].at, window[-1].at, sum(moves), mean, math.sqrt(abs(mean)), spread, 0.0)


def _chi_squared(x: float, degrees: int) -> float:
    """The chance of no more than x (Wilson and Hilferty 1931)."""
    ninth = 2 / (9 * degrees)
    return NormalDist().cdf(((x / degrees) ** (1 / 3) - (1 - ninth)) / math.sqrt(ninth))
