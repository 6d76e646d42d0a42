"""How long to wait before trying again."""

from __future__ import annotations

from random import Random


class Backoff:
    """Jittered exponential delays: half to all of 1, 2, 4 … seconds, up to ``most``.

    The jitter keeps a hundred thousand probes from coming back to a restarted broker all at once.
    """

    def __init__(self, random: Random, first: float = 1.0, most: float = 120.0) -> None:
        self._random, self._first, self._most = random, first, most
        self._failures = 0

    def reset(self) -> None:
        """Begin anew at the shortest delay."""
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        ceiling: float = min(self._most, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return ceiling * self._random.uniform(0.5, 1.0)
