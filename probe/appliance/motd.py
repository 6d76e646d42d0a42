"""What somebody sees who logs in: the line, the last findings, and whether all is well."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

SECTOR = 512
LATEST = 3


def lines(version: str, status: dict[str, Any] | None, findings: list[str], written: int | None) -> list[str]:
    """The message. ``status``: the daemon's account of itself, None where it does not run; ``findings``: the latest
    last; ``written``: bytes that went to the card since the start."""
    told = [f"Colibri {version}"]
    if status is None:
        told.append("health    the daemon does not run: journalctl -u colibri")
    else:
        line, feed = status["line"], status["feed"]
        described = ", ".join(str(line[key]) for key in ("operator", "country", "access") if line[key]) or "unknown"
        told.append(f"line      {described}; {'up' if status['link']['up'] else 'down'}")
        reached = "no broker configured" if not feed["host"] else "connected" if feed["connected"] else feed["trouble"]
        stuck = f"; stuck: {', '.join(status['stalled'])}" if status["stalled"] else ""
        told.append(f"health    feed {reached or 'not yet'}, {status['spool']['depth']} findings wait{stuck}")
    told += [f"latest    {finding}" for finding in findings[-LATEST:]] or ["latest    nothing measured since the start"]
    if written is not None:
        told.append(f"card      {written / 1e6:.1f} MB written since the start")
    return [*told, "          colibri status, colibri doctor, colibri measure --help"]


def latest_findings(unit: str = "colibri.service") -> list[str]:
    """The last findings that the journal knows, the newest last."""
    done = subprocess.run(
        ["journalctl", "-q", "-b", "-u", unit, "-n", "300", "-o", "json"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return parse_journal(done.stdout)


def parse_journal(text: str) -> list[str]:
    """``dns_injection of news.example: clean``, from the journal's JSON; anything else in it is passed over."""
    found = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("COLIBRI_FINDING"), str):
            found.append(str(entry.get("MESSAGE", "")))
    return found


def written_bytes(block: Path = Path("/sys/class/block")) -> int | None:
    """Bytes written to the card since the start (the kernel's Documentation/block/stat.rst, field 7); None: no card."""
    for name in ("mmcblk0", "vda", "sda"):
        try:
            return int((block / name / "stat").read_text().split()[6]) * SECTOR
        except (OSError, ValueError, IndexError):
            continue
    return None
