"""What the store remembers of itself: how far something has come, and the secret by which homes are told apart.

A row of ``marks`` each; of several versions the largest wins.
"""

from __future__ import annotations

from collections.abc import Callable

from probe.collector.clickhouse.batch import FIRST
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import literal
from probe.collector.clickhouse.tables import insert

COPIED = "copied"
"""The number of the embedded store's last finding that was copied."""
SETTLED = "settled"
"""The journal's own clock (s): all before it is settled."""
SWEPT = "swept"
"""When what is old was let go of last (ms); ``swept.KIND``: what came before it (ms) has been looked at."""
THINNED = "thinned"
"""Of what arrived before it (ms), not all results have their finding any more."""
_SECRET = "home_secret"  # noqa: S105 - its name


class Marks:
    """``tick``: a number larger than all before. Every call raises StoreError."""

    def __init__(self, link: Link, tick: Callable[[], int]) -> None:
        self._link, self._tick = link, tick

    def set(self, name: str, number: int) -> None:
        """It has come so far."""
        insert(self._link, "marks", [(name, number, b"", self._tick())])

    def get(self, name: str) -> int:
        """How far it has come; 0: it has not begun."""
        return number(self._link, name)

    def secret(self) -> bytes | None:
        """The key of the homes' hashes, if there is one."""
        rows = self._link.rows("b", f"SELECT text FROM marks FINAL WHERE name = {literal(_SECRET)}")
        return bytes(rows[0][0]) if rows else None

    def offer_secret(self, secret: bytes) -> None:
        """Make it the key, unless there is one: of two collectors that start at once, the first one's holds."""
        insert(self._link, "marks", [(_SECRET, 0, secret, FIRST - self._tick())])

    def bring_secret(self, secret: bytes) -> None:
        """Make it the key, whatever is offered."""
        insert(self._link, "marks", [(_SECRET, 0, secret, FIRST)])


def number(link: Link, name: str) -> int:
    """How far it has come, for who only reads; 0: it has not begun. Raises StoreError."""
    rows = link.rows("i", f"SELECT number FROM marks FINAL WHERE name = {literal(name)}")
    return int(rows[0][0]) if rows else 0
