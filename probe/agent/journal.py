"""Logging: to the journal with fields when systemd runs us, to stderr otherwise.

A field is given with ``extra=fields(measurement="dns_injection", …)`` and becomes ``COLIBRI_MEASUREMENT`` in the
journal, where ``journalctl COLIBRI_MEASUREMENT=dns_injection`` finds it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

PREFIX = "COLIBRI_"


def fields(**values: object) -> dict[str, str]:
    """``extra`` of a log call, as the journal's fields (upper case, our prefix); empty values are left out."""
    return {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items() if value not in ("", None)}


def under_journal(environment: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> bool:
    """Whether stderr is the journal's: $JOURNAL_STREAM names its device and inode (systemd.exec(5)).

    The variable alone is not enough: a shell started from a unit passes it on.
    """
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat((stream or sys.stderr).fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def set_up(level: int = logging.INFO) -> None:
    """Let all of this process's logging go where it belongs. Call it once, in a program and not in a library."""
    handler: logging.Handler
    if under_journal():
        from systemd.journal import JournalHandler

        handler = JournalHandler(SYSLOG_IDENTIFIER="colibri")
        handler.setFormatter(logging.Formatter("%(message)s"))  # priority and logger are fields of their own
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_WithFields("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _WithFields(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, with the fields after it (a traceback follows them)."""
        told = [
            f"{name.removeprefix(PREFIX).lower()}={value}"
            for name, value in sorted(vars(record).items())
            if name.startswith(PREFIX)
        ]
        return " ".join([super().formatMessage(record), *told])
