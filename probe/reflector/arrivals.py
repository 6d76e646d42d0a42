"""Which packets arrived: hashes of 8 bytes, in memory alone, for five minutes."""

from __future__ import annotations

from collections import deque

from probe.model.reflector import MEMORY, Arrived

MOST = 200_000


class Arrivals:
    """``complete``: something sees everything that arrives; without it, nothing is ever said not to have arrived."""

    def __init__(self, now: float, *, complete: bool = False) -> None:
        self.complete = complete
        self._since = now  # everything is known from here on
        self._seen: dict[bytes, deque[tuple[float, bytes]]] = {}
        self._order: deque[tuple[float, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._order)

    def note(self, name: bytes, source: bytes, now: float) -> None:
        """A packet of that name (``arrival_id``) has arrived; ``source`` is a keyed hash of where from."""
        self._seen.setdefault(name, deque()).append((now, source))
        self._order.append((now, name))
        while self._order and (len(self._order) > MOST or now - self._order[0][0] > MEMORY):
            at, old = self._order.popleft()
            if now - at <= MEMORY:  # pushed out: a flood
                self._since = max(self._since, at)
            entries = self._seen[old]
            entries.popleft()
            if not entries:
                del self._seen[old]

    def missed(self, now: float) -> None:
        """Packets went by unseen just now."""
        self._since = now

    def answer(self, packets: bytes, within: float, source: bytes, now: float) -> Arrived:
        """How often each of the packets came in the last ``within`` seconds."""
        start = now - min(within, MEMORY)
        counts, yours = [], []
        for i in range(0, len(packets) - 7, 8):
            came = [where for at, where in self._seen.get(packets[i : i + 8], ()) if at >= start]
            counts.append(len(came))
            yours.append(came.count(source))
        why = ""
        if 0 in counts:
            why = self._cannot_tell(start, now)
        if why:
            counts = [count or -1 for count in counts]
        return Arrived(counts=tuple(counts), yours=tuple(yours), why=why)

    def _cannot_tell(self, start: float, now: float) -> str:
        if not self.complete:
            return "this host may not capture packets (CAP_NET_RAW)"
        if start < self._since:
            return f"what arrived is known for the last {max(0.0, now - self._since):.0f} seconds only"
        return ""
