"""The code that changes anything on the home's page: made on the device, told to whoever holds the device."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from probe.agent.files import write_whole

FILE = "page-code"
"""Its name in the state folder, unless ``page.code_file`` says otherwise."""
LETTERS = "23456789BCDFGHJKMNPQRSTVWXYZ"
"""What a code is made of: nothing that is taken for something else, and no vowels, so no words."""
LENGTH = 8
"""Letters of a code: 38 bits. Guessed at the rate below, half of them take 40,000 years."""
FREE = 5
"""Wrong codes that one address may give at once."""
REFILL = 60.0
"""Seconds after which it may give one more."""
_FREE_ALL, _REFILL_ALL = 30, 10.0  # the same for all addresses together: on IPv6 one device has as many as it likes
_MOST_SOURCES = 256


def code(path: Path, entropy: Callable[[int], bytes] = os.urandom) -> str:
    """The device's code; made now if there is none. Raises OSError."""
    try:
        kept = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        kept = ""
    if plain(kept):
        return kept
    # 252 is the greatest multiple of 28 in a byte: above it, some letters would be more frequent than others.
    drawn = [LETTERS[byte % len(LETTERS)] for byte in entropy(32 * LENGTH) if byte < 252][:LENGTH]
    made = "".join(drawn[:4]) + "-" + "".join(drawn[4:])
    write_whole(path, f"{made}\n".encode(), mode=0o640)
    return made


def plain(text: str) -> str:
    """A code as it is compared: without spaces and hyphens, in capitals."""
    return "".join(text.split()).replace("-", "").upper()


class Turnstile:
    """Counts wrong codes, by address and of all. ``clock``: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Bucket(_FREE_ALL, _REFILL_ALL, clock())
        self._sources: dict[str, _Bucket] = {}

    def wait(self, source: str) -> float:
        """Seconds until a code is heard from this address; 0: now."""
        now = self._clock()
        own = self._sources.get(source)
        return max(self._all.wait(now), own.wait(now) if own else 0.0)

    def passes(self, given: str, wanted: str, source: str) -> bool:
        """Whether the code is the right one; a wrong one is counted."""
        import hmac  # with all that hashes, for who gives a code

        if hmac.compare_digest(plain(given).encode(), plain(wanted).encode()) and plain(wanted):
            self._sources.pop(source, None)
            return True
        now = self._clock()
        self._all.take(now)
        own = self._sources.pop(source, None) or _Bucket(FREE, REFILL, now)
        own.take(now)
        self._sources[source] = own
        if len(self._sources) > _MOST_SOURCES:
            del self._sources[next(iter(self._sources))]
        return False


class _Bucket:
    """``free`` tokens, one more every ``refill`` seconds."""

    def __init__(self, free: int, refill: float, now: float) -> None:
        self._free, self._refill = free, refill
        self._left, self._at = float(free), now

    def _fill(self, now: float) -> None:
        self._left = min(self._free, self._left + (now - self._at) / self._refill)
        self._at = now

    def wait(self, now: float) -> float:
        self._fill(now)
        return max(0.0, (1 - self._left) * self._refill)

    def take(self, now: float) -> None:
        self._fill(now)
        self._left = max(0.0, self._left - 1)
