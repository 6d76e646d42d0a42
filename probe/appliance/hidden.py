"""Secrets on the boot partition, which anyone who holds the card can read on any computer: they move to the data
partition, and asterisks take their place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from probe.agent.files import write_whole

Name = tuple[str, str]
"""Table and key."""

_STRING = r"""("(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""


def is_masked(value: object) -> bool:
    """Whether a value is nothing but asterisks: the secret was here and is kept on the data partition."""
    return isinstance(value, str) and bool(re.fullmatch(r"\*+", value))


def masked(data: bytes, names: Iterable[Name]) -> bytes:
    """The file with asterisks in place of those secrets, as long as before to the byte, so that it can be overwritten
    where it lies. Strings that span lines are left."""
    text = data.decode("latin-1")  # byte for byte
    wanted = set(names)
    table, out = "", []
    for line in text.split("\n"):  # not splitlines(): half a letter of UTF-8 may look like a line end
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = header[1]
        elif (found := re.match(rf"\s*([\w-]+)\s*=\s*{_STRING}", line)) and (table, found[1]) in wanted:
            start, end = found.start(2) + 1, found.end(2) - 1
            line = f"{line[:start]}{'*' * (end - start)}{line[end:]}"
        out.append(line)
    return "\n".join(out).encode("latin-1")


def overwrite(path: Path, before: bytes, after: bytes) -> None:
    """Write what differs, in place, and wait for the card. Raises ValueError where the length is another, OSError."""
    if len(before) != len(after):
        raise ValueError("a file can't be overwritten in place by another of another length")
    if before == after:
        return
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, after, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Kept:
    """The secrets on the data partition: one file each, for root alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: Name) -> Path:
        """Where it is kept."""
        return self._folder / "-".join(name)

    def exchange(self, raw: Mapping[str, Any], names: Iterable[Name]) -> dict[Name, str]:
        """Keep the secrets that the file names anew, give back those that it only hides, forget those that it has no
        more. Returns all that hold now. Raises OSError."""
        held: dict[Name, str] = {}
        for name in names:
            table = raw.get(name[0])
            value = table.get(name[1]) if isinstance(table, Mapping) else None
            path = self.path(name)
            if is_masked(value):
                if path.exists():
                    held[name] = path.read_text()
            elif isinstance(value, str) and value:
                if not path.exists() or path.read_text() != value:
                    write_whole(path, value.encode(), mode=0o600)
                held[name] = value
            else:
                path.unlink(missing_ok=True)
        return held
