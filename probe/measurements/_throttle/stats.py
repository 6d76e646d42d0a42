"""Rates of transfers, and how seldom chance makes two groups of them so different."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import comb
from statistics import mean, median, pstdev

from probe.model.exchange import Exchange, Sample, TransferStep


def moved(exchange: Exchange, sample: Sample) -> int:
    """Bytes of the bulk at a sample: acknowledged ones of an upload, received ones of a download."""
    step = exchange.step
    if isinstance(step, TransferStep) and step.upload:
        return max(0, sample.acknowledged - len(step.payload))
    return sample.received


def rate(exchange: Exchange) -> float | None:
    """Bytes a second in the second half of a transfer's time: slow start lies in the first, and what a filter lets
    through before it acts. None where it never began; 0 where nothing came."""
    samples = exchange.samples
    if exchange.failure or not samples or exchange.sent_at is None:
        return None
    last = samples[-1]
    # The last look before half-time: where all is over after two looks, it is the beginning.
    middle = next((s for s in reversed(samples[:-1]) if s.at <= last.at / 2), Sample(0.0, 0, 0))
    return (moved(exchange, last) - moved(exchange, middle)) / max(last.at - middle.at, 0.001)


def pieces(exchange: Exchange, every: float = 0.5) -> list[float]:
    """Bytes a second of each ``every`` seconds in the second half of a transfer, to see how even it is."""
    found: list[float] = []
    end = exchange.samples[-1].at if exchange.samples else 0.0
    samples = [s for s in exchange.samples if s.at >= end / 2]
    start = samples[0] if samples else None
    for sample in samples:
        if start is not None and sample.at - start.at >= every:
            found.append((moved(exchange, sample) - moved(exchange, start)) / (sample.at - start.at))
            start = sample
    return found


def ks(low: Sequence[float], high: Sequence[float]) -> float:
    """Exact one-sided two-sample Kolmogorov–Smirnov test: how often chance gives ``low`` a distribution function so far
    above that of ``high``, or farther, if both are alike (Hodges 1957: by counting lattice paths). 1 for an empty one.

    Ties count as none: the result is then too large rather than too small.
    """
    n, m = len(low), len(high)
    if not n or not m:
        return 1.0
    farthest = max(sum(x <= at for x in low) * m - sum(x <= at for x in high) * n for at in (*low, *high))
    if farthest <= 0:
        return 1.0
    ways = [0] * (m + 1)  # paths to (i, j) that never came so far
    for i in range(n + 1):
        for j in range(m + 1):
            before = (ways[j] if i else 0) + (ways[j - 1] if j else 0) if i or j else 1
            ways[j] = 0 if i * m - j * n >= farthest else before
    return 1 - ways[m] / comb(n + m, n)


def area(low: Sequence[float], high: Sequence[float]) -> float:
    """Area between two distribution functions, as a share of the largest value (Wehe's area test); 0 where empty."""
    values = sorted({*low, *high})
    if not low or not high or values[-1] <= 0:
        return 0.0
    total = 0.0
    for here, there in pairwise(values):
        share = sum(x <= here for x in low) / len(low) - sum(x <= here for x in high) / len(high)
        total += abs(share) * (there - here)
    return total / values[-1]


def ratio(low: Sequence[float], high: Sequence[float]) -> float:
    """How many times faster the median of ``high`` is; at most 1000."""
    return min(1000.0, median(high) / max(median(low), 0.001)) if low and high else 1.0


def unevenness(rates: Sequence[float]) -> float:
    """Coefficient of variation; 0 for fewer than two values or none above zero."""
    return pstdev(rates) / mean(rates) if len(rates) > 1 and mean(rates) > 0 else 0.0
