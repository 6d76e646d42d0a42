"""Exact tests and intervals: what chance gives if the thing in question has no effect at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from probe.measurements._judge import wilson_lower

ALPHA = 0.01
"""How seldom a whole run may be misled by chance; each of its questions gets an equal part (Bonferroni)."""


def wilson(hits: int, made: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927); (0, 1) where nothing was made."""
    return wilson_lower(hits, made), 1 - wilson_lower(made - hits, made) if made else 1.0


def permutation(worse: Sequence[float], others: Sequence[float]) -> float:
    """Exact one-sided permutation test of means (Fisher and Pitman): how often chance gives the first group values
    whose sum is as high as this, or higher, if its members fare like the others. 1 where a group is empty.

    Values are shares, taken to 2 % (10 % of more than eighty). Of yes and no it is Fisher's exact test. A test by ranks
    would miss the few calls that fail altogether among many that lose as much, or as little, as the others.
    """
    if not worse or not others:
        return 1.0
    n, size = len(worse), len(worse) + len(others)
    steps = 50 if size <= 80 else 10
    values = [round(value * steps) for value in (*worse, *others)]
    least = min(values)
    unit = math.gcd(*(value - least for value in values)) or 1
    values = [(value - least) // unit for value in values]
    # ways[k] counts the choices of k values by their sum: a whole number whose digits, to the base 2 ** width, are the
    # counts. So that one shift adds a value to all choices at once.
    total = math.comb(size, n)
    width = total.bit_length() + 1
    ways = [1, *(0 for _ in worse)]
    for seen, value in enumerate(values):
        for k in range(min(n, seen + 1), 0, -1):
            ways[k] += ways[k - 1] << value * width
    reached = ways[n] >> sum(values[:n]) * width
    return reached % ((1 << width) - 1) / total  # the sum of its digits: each power of the base leaves 1
