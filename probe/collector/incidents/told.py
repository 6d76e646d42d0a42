"""What there is to tell of one incident: who saw it, who did not, how often, at what hours, who was spared."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from probe.collector.incidents.edges import began, ended
from probe.collector.incidents.homes import WINDOW, Home, counted
from probe.collector.incidents.model import HOUR, Exemption, Incident, Series
from probe.measurements._judge import wilson_lower

CHANCE = 0.0005
"""How seldom a home may be spared by chance for an exemption to be told."""
_NOT_ALWAYS = 0.9  # of the results that are bad: fewer, and it is intermittent
_GAP = 6 * HOUR  # without any result: less is no silence
_DAY = 24


class _Span:
    """A home's results within an incident."""

    def __init__(self, name: str, home: Home, start: int, end: int) -> None:
        self.name, self.home = name, home
        # The hours that the ends lie in belong to it.
        self.low, self.high = bisect_right(home.hours, start - HOUR), bisect_left(home.hours, end + 1)
        self.bad, self.good = home.tally(self.low, self.high)

    def spared(self, share: float, start: int, end: int) -> list[tuple[int, int]]:
        """Intervals of a day or more without a bad result, which chance would not give; all of the incident is none:
        who never saw it disagrees."""
        found = [(a, b) for a, b, good in self._breaks() if (1 - share) ** good < CHANCE]
        hours = self.home.hours
        # A home that is new and gone again, or that turned, was spared; one that always says so disagrees.
        stays = self.bad == 0 and (self.low > 0 or hours[self.low : self.low + 1] <= [start + WINDOW])
        stays = stays or (self.bad == 0 and self.high > self.low and hours[self.high - 1] >= end - WINDOW)
        return [] if stays else found

    def _breaks(self) -> list[tuple[int, int, int]]:
        """Intervals of a day or more without a bad result, with how many good ones there were in each."""
        key = "breaks", self.low, self.high
        if key in self.home.memo:
            return self.home.memo[key]  # type: ignore[no-any-return]
        found, first = list[tuple[int, int, int]](), self.low
        hours, bad = self.home.hours, self.home.bad
        for i in range(self.low, self.high + 1):
            if i < self.high and not bad[i]:
                continue
            if first < i and hours[i - 1] - hours[first] >= WINDOW:
                found.append((hours[first], hours[i - 1] + HOUR, self.home.tally(first, i)[1]))
            first = i + 1
        self.home.memo[key] = found
        return found

    def by_hour(self) -> list[list[int]]:
        """(bad, bad or good) results by hour of the day."""
        key = "by_hour", self.low
        upto, before = self.home.settled.get(key, (self.low, [[0, 0]] * _DAY))
        if upto > self.high:  # it ended sooner than was thought
            upto, before = self.low, [[0, 0]] * _DAY
        counts = [[*some] for some in before]
        for i in range(upto, self.high):
            at = counts[self.home.hours[i] // HOUR % _DAY]
            at[0] += self.home.bad[i]
            at[1] += self.home.bad[i] + self.home.good[i]
        self.home.settled[key] = self.high, counts
        return counts


def tell(
    series: Series, homes: Mapping[str, Home], weight: Mapping[str, float], opened: int, closed: int, now: int
) -> Incident:
    """An incident that was opened at one hour and closed at another (0: not yet)."""
    first = began(homes, weight, opened)
    last = ended(homes, weight, first.until - HOUR, closed) if closed else None
    start, end = first.until, last.after if last is not None else now
    spans = [span for name, home in homes.items() if (span := _Span(name, home, start, end)).high > span.low]
    saw = [span for span in spans if span.bad > 1]
    share = _middle([s.bad / (s.bad + s.good) for s in saw])
    spared = {s.name: s.spared(share, start, end) for s in spans}
    # Without what those saw that were spared for a while.
    shares = [s.bad / (s.bad + s.good - _good_within(s, spared[s.name])) for s in saw]
    return Incident(
        series=series, state="closed" if closed else "open", began=first, ended=last, homes=len(saw), heard=len(spans),
        dissent=tuple(sorted(p for s in spans if not s.bad and not spared[s.name] for p in s.home.probes)),
        share=_middle(shares), hours=_by_hour(saw), intermittent=_middle(shares) < _NOT_ALWAYS,
        exemptions=_together(spared, homes), silent=_silent(spans, start, end), sure=wilson_lower(len(saw), len(spans)),
        counted=counted(s.name for s in spans),
    )  # fmt: skip


def _middle(shares: list[float]) -> float:
    """The middle home's: one that always says so, or was spared for long, must not hide what the others saw."""
    return sorted(shares)[len(shares) // 2] if shares else 0.0


def _good_within(span: _Span, intervals: list[tuple[int, int]]) -> int:
    if not intervals:
        return 0
    hours = span.home.hours
    return sum(
        span.home.good[i] for i in range(span.low, span.high) if any(a <= hours[i] < b for a, b in intervals)
    )


def _by_hour(saw: list[_Span]) -> tuple[tuple[int, int], ...]:
    counts = [[0, 0] for _ in range(_DAY)]
    for span in saw:
        for at, (bad, made) in zip(counts, span.by_hour(), strict=True):
            at[0] += bad
            at[1] += made
    return tuple((bad, made) for bad, made in counts)


def _together(spared: Mapping[str, list[tuple[int, int]]], homes: Mapping[str, Home]) -> tuple[Exemption, ...]:
    """Homes that were spared at the same time, told together."""
    groups: list[tuple[list[str], int, int]] = []
    for start, end, name in sorted((a, b, name) for name, some in spared.items() for a, b in some):
        for i, (names, low, high) in enumerate(groups):
            if 2 * (min(end, high) - max(start, low)) >= max(end - start, high - low):
                groups[i] = ([*names, name], min(low, start), max(high, end))
                break
        else:
            groups.append(([name], start, end))
    return tuple(
        Exemption(len(set(names)), low, high, tuple(sorted(p for name in set(names) for p in homes[name].probes)))
        for names, low, high in groups
    )


def _silent(spans: list[_Span], start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Intervals longer than any usual pause in which nobody measured."""
    times = sorted(set[int]().union(*(s.home.hours[s.low : s.high] for s in spans)))
    ends = [start, *(t + HOUR for t in times)]
    return tuple((a, b) for a, b in zip(ends, [*times, end], strict=True) if b - a > _GAP)
