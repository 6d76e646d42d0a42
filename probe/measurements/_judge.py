"""What all rules share: counting, confidence, wording."""

from __future__ import annotations

import math

from probe.model.finding import Hop, Tally, Verdict

_Z = 1.959964  # 95 %, two-sided


def wilson_lower(agreed: int, made: int) -> float:
    """Lower bound of the 95 % Wilson score interval of a share (Wilson 1927); 0 where nothing was made."""
    if made <= 0:
        return 0.0
    share, z2 = agreed / made, _Z * _Z
    centre = share + z2 / (2 * made)
    spread = _Z * math.sqrt(share * (1 - share) / made + z2 / (4 * made * made))
    return max(0.0, (centre - spread) / (1 + z2 / made))


def confidence(*tallies: tuple[int, int]) -> float:
    """Confidence of a verdict: :func:`wilson_lower` over all independent observations, as (agreed, made) pairs:
    trials, controls, and probes whose TTL alone decides what they may elicit. Three decimals."""
    agreed, made = sum(a for a, _ in tallies), sum(m for _, m in tallies)
    return round(wilson_lower(agreed, made), 3)


def confidence_in(verdict: Verdict, trials: Tally, controls: Tally) -> float:
    """Confidence of a verdict that accuses nobody: that of `clean` by its counts; any other claims nothing."""
    if verdict != "clean":
        return 0.0
    return confidence((trials.agreed, trials.made), (controls.agreed, controls.made))


def is_home(address: str) -> bool:
    """Whether an address stands for a router inside the home (the engine's edge writes 0.0.0.1 …, ::1 …)."""
    return address.startswith("0.0.0.") or (address.startswith("::") and address.count(":") == 2 and "." not in address)


def hop(address: str | None) -> Hop:
    """A hop as a finding shows it: nothing where nothing answered or the router is the home's."""
    return Hop("" if address is None or is_home(address) else address)


def hops_away(ttl: int) -> int:
    """Routers that a packet with this TTL on arrival has crossed, if it left with a usual initial TTL (32 … 255)."""
    return next(initial for initial in (32, 64, 128, 255) if ttl <= initial) - ttl


def sooner(after: float, round_trip: float) -> bool:
    """Whether an answer came sooner than the fastest known round trip allows: by 40 % and by 5 ms, since queues, caches
    and wake-ups make small times vary on an honest line. Supports other signs; proves nothing alone."""
    return after < 0.6 * round_trip and round_trip - after > 0.005


def milliseconds(seconds: float) -> str:
    """For sentences: 23 ms, 1500 ms, 0.4 ms."""
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def plural(count: int, word: str) -> str:
    """1 trial, 3 trials."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
