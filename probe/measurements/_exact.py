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


def midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, from the least; equals share the mean of theirs (twice, so that it is whole)."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for i in order[at:end]:
            ranks[i] = at + 1 + end
        at = end
    return ranks


def permutation(worse: Sequence[float], others: Sequence[float]) -> float:
    """Exact one-sided permutation test by ranks (Wilcoxon, Mann and Whitney, ties and all): how often chance gives the
    first group ranks as high as these, or higher, if its members fare like the others. 1 where a group is empty."""
    if not worse or not others:
        return 1.0
    ranks = midranks([*worse, *others])
    wanted = sum(ranks[: len(worse)])
    # ways[n][s]: how many choices of n members have the rank sum s.
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in worse)]
    for rank in ranks:
        for n in range(len(worse), 0, -1):
            for total, count in ways[n - 1].items():
                ways[n][total + rank] = ways[n].get(total + rank, 0) + count
    return sum(c for s, c in ways[-1].items() if s >= wanted) / math.comb(len(ranks), len(worse))
