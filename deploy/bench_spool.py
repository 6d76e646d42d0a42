"""The spool as it grows, from 1 to a million waiting findings: what one more costs, what is next, start-up, memory.

Run by ``make bench`` in a process of its own: ``bench_spool.py MOST`` prints a table (Markdown).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench_common import resident_mb

from probe.agent.spool import Entry, Spool
from probe.model.finding import Verdict

BYTES = 1000  # of a finding as JSON: a clean one of a simple measurement
ROOM = 1 << 40
BATCH = 1000
TRIES = 7
WINDOW = 20  # findings under way at once, [mqtt] window


def entry(number: int) -> Entry:
    """A finding of its own; one in a hundred is interfered with."""
    verdict: Verdict = "interfered" if number % 100 == 0 else "clean"
    name = f"01900000-0000-7000-8000-{number:012}"
    return Entry(name, "dns_injection", verdict, bytes(BYTES), 1.8e9 + number)


def median_ms(work: Callable[[], object]) -> float:
    """Milliseconds of wall, median of some tries."""
    taken = []
    for _ in range(TRIES):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def table(most: int, folder: Path) -> str:
    """The rows: 1, 10, … ``most`` waiting."""
    columns = ["waiting", "one more, ms", "the next 20 to send, ms", "20 are safe, ms", "open the file, ms", "file, MB",
               "memory, MB"]  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---:" * len(columns) + "|"]
    path, made, wanted = folder / "spool.sqlite3", 0, 1
    while wanted <= most:
        spool = Spool(path, ROOM)
        while spool.depth < wanted:
            count = min(BATCH, wanted - spool.depth)
            spool.add(entry(made + i) for i in range(count))
            made += count
        spool.close()
        begun = time.perf_counter()
        spool = Spool(path, ROOM)
        opened = (time.perf_counter() - begun) * 1000
        cells = [*_costs(spool, iter(range(made, made + TRIES))), opened]
        made += TRIES
        spool.close()
        size = sum(one.stat().st_size for one in folder.iterdir()) / 1e6
        shown = " | ".join("–" if cell is None else f"{cell:.2f}" if cell < 10 else f"{cell:,.0f}" for cell in cells)
        lines.append(f"| {wanted:,} | {shown} | {size:,.1f} | {resident_mb():.1f} |")
        wanted *= 10
    return "\n".join(lines)


def _costs(spool: Spool, numbers: Iterator[int]) -> list[float | None]:
    """Milliseconds: to add one, to choose the next, to remove what is safe (None where there are too few for that)."""
    added = median_ms(lambda: spool.add([entry(next(numbers))]))
    chosen = median_ms(lambda: spool.pending(WINDOW, 0.0))
    safe = [e.id for e in spool.pending(TRIES * WINDOW, 0.0)]
    batches = iter([safe[i : i + WINDOW] for i in range(0, TRIES * WINDOW, WINDOW)])
    return [added, chosen, median_ms(lambda: spool.remove(next(batches))) if len(safe) == TRIES * WINDOW else None]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="colibri-spool-") as name:
        print(table(int(sys.argv[1]), Path(name)))
