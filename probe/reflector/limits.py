"""Token buckets for sources, in bounded memory: a flood of forged sources costs nothing but its own answers."""

from __future__ import annotations

from collections import OrderedDict


class Bucket:
    """So many a second, and ``burst`` at once. Time may stand still or step back; it is then simply not filled."""

    __slots__ = ("at", "level")

    def __init__(self, burst: float, now: float) -> None:
        self.level = burst
        self.at = now

    def take(self, amount: float, rate: float, burst: float, now: float) -> bool:
        """Take ``amount`` if it is there."""
        self.level = min(burst, self.level + max(0.0, now - self.at) * rate)
        self.at = now
        if self.level < amount:
            return False
        self.level -= amount
        return True


class Table:
    """A bucket for each key; the least recently used go when there are too many, and begin anew, full.

    So what stays bounded under a flood of new keys is the sum, by a bucket of its own (``overall``).
    """

    def __init__(self, rate: float, burst: float, overall: float, most: int = 4096) -> None:
        self._rate, self._burst, self._overall, self._most = rate, burst, overall, most
        self._buckets: OrderedDict[bytes, Bucket] = OrderedDict()
        self._sum: Bucket | None = None

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: bytes, now: float, amount: float = 1.0) -> bool:
        """Whether this key may have ``amount`` more."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._burst, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        if self._sum is None:
            self._sum = Bucket(self._overall, now)
        if not bucket.take(amount, self._rate, self._burst, now):
            return False
        return self._sum.take(amount, self._overall, self._overall, now)


    def give(self, key: bytes, amount: float) -> None:
        """Give back what was taken and not used."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.level = min(self._burst, bucket.level + amount)


class Limits:
    """What one source may have, and all together, a second.

    ``proven``: datagrams of sources with a token. A measurement keeps to 200 a second; several may share an address.
    ``unproven``: greetings and questions to the zone; a public resolver asks for many. ``bytes``: of bulk transfers: a
    run of measurements takes some 6 MB, a home about a run an hour. What all transfers take is bounded by how many run
    at once (``service``). ``asks``: questions that are passed on to a peer.
    """

    def __init__(self) -> None:
        self.proven = Table(rate=600, burst=1200, overall=20_000)
        self.unproven = Table(rate=50, burst=100, overall=2_000)
        self.asks = Table(rate=2, burst=40, overall=100)
        self.bytes = Table(rate=20_000, burst=60_000_000, overall=1e12)
