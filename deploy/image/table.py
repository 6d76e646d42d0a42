"""The table that the boot test prints: what was asked, what was seen, whether it is right."""

from __future__ import annotations


class Table:
    """Rows in the order in which they were seen; each is shown at once, all of them again in the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, bool]] = []

    def row(self, asked: str, seen: str, good: bool) -> None:
        """Note a result and show it."""
        self.rows.append((asked, seen, good))
        print(f"{_word(good):<7} {asked}: {seen}", flush=True)

    @property
    def failed(self) -> bool:
        """Whether something is wrong, or nothing was asked at all."""
        return not self.rows or not all(good for _, _, good in self.rows)

    def text(self) -> str:
        """All rows in columns."""
        width = max((len(asked) for asked, _, _ in self.rows), default=0)
        return "".join(f"{asked:<{width}}  {_word(good):<6}  {seen}\n" for asked, seen, good in self.rows)


def _word(good: bool) -> str:
    return "ok" if good else "FAILED"
