"""What the benchmarks have in common: their place on a page, byte code, and what a process holds in memory."""

from __future__ import annotations

import os
from pathlib import Path


def marks(name: str) -> tuple[str, str]:
    """What stands before and after a section that a benchmark writes."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def write(path: Path, name: str, text: str) -> None:
    """Put the text between the marks of that name. Raises ValueError where there are none."""
    begin_mark, end_mark = marks(name)
    before, begin, rest = path.read_text().partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"{path} lacks the marks {begin_mark} and {end_mark}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def byte_code(folder: Path | str) -> dict[str, str]:
    """Environment in which Python makes byte code once and keeps it in a folder, as where a program is installed."""
    # An empty PYTHONDONTWRITEBYTECODE is none.
    return {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}


def resident_mb() -> float:
    """MB (10^6 bytes) of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
