"""What is kept in memory because it is asked for again, up to a size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

IDLE = 100
"""Rounds after which what nobody asked for goes first."""


class Sized(Protocol):
    """``size``: in whatever the shelf is bounded by; it may grow."""

    size: int


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Sized)


class Shelf(Generic[K, V]):
    """``room``: most that all of it may be together.

    Where all of it is asked for in turn, and does not fit, letting go of what was used longest ago would let go of
    each just before it is needed. So if all of it is in use, what came last goes, and the rest stays.
    """

    def __init__(self, room: int) -> None:
        self._room, self._round = room, 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()  # with the round of its last use; the oldest first

    def __iter__(self) -> Iterator[K]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """It, if it is there."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept[key] = found[0], self._round
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V) -> None:
        """Keep it, at least until `trim`."""
        self._kept[key] = value, self._round
        self._kept.move_to_end(key)

    def trim(self) -> list[K]:
        """The end of a round: let go of what there is no room for. Returns what went."""
        size = sum(value.size for value, _ in self._kept.values())
        gone = []
        while size > self._room:
            (_, used) = next(iter(self._kept.values()))
            key, (value, _) = self._kept.popitem(last=used + IDLE > self._round)
            size -= value.size
            gone.append(key)
        self._round += 1
        return gone

    def clear(self) -> None:
        """Let go of all of it."""
        self._kept.clear()
