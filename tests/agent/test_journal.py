"""Logging: fields, and where it goes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from probe.agent.journal import fields, under_journal


def test_fields_bear_our_prefix_and_are_text() -> None:
    assert fields(measurement="dns_injection", n=3, empty="", none=None) == {
        "COLIBRI_MEASUREMENT": "dns_injection",
        "COLIBRI_N": "3",
    }


def test_the_journal_is_known_by_its_inode_and_not_by_the_variable_alone(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w") as stream:
        status = os.fstat(stream.fileno())
        mine = f"{status.st_dev}:{status.st_ino}"
        assert under_journal({"JOURNAL_STREAM": mine}, stream)
        assert not under_journal({"JOURNAL_STREAM": f"{status.st_dev}:1"}, stream)
        assert not under_journal({"JOURNAL_STREAM": ""}, stream)
        assert not under_journal({}, stream)
    assert not under_journal({"JOURNAL_STREAM": mine}, stream)


SCRIPT = """
import logging
from probe.agent.journal import fields, set_up
set_up()
log = logging.getLogger("x")
log.info("a %s", "message", extra=fields(verdict="clean", measurement="m"))
log.debug("not told")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("bad", extra=fields(n=1))
"""


def test_without_a_journal_lines_go_to_stderr_with_their_fields() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True)
    lines = ran.stderr.splitlines()
    assert lines[0] == "INFO x: a message measurement=m verdict=clean"
    assert lines[1] == "ERROR x: bad n=1"
    assert lines[2].startswith("Traceback")
    assert lines[-1].startswith("ZeroDivisionError")
    assert ran.stdout == ""


def test_under_the_journal_its_handler_gets_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    from probe.agent import journal
    from systemd import journal as systemd_journal

    sent: list[dict[str, object]] = []
    monkeypatch.setattr(journal, "under_journal", lambda: True)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        journal.set_up()
        (handler,) = root.handlers
        assert isinstance(handler, systemd_journal.JournalHandler)
        monkeypatch.setattr(handler, "send", lambda *args, **extra: sent.append({"MESSAGE": args[0], **extra}))
        logging.getLogger("y").warning("w", extra=fields(verdict="down"))
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert sent[0]["MESSAGE"] == "w"
    assert sent[0]["COLIBRI_VERDICT"] == "down"
    assert sent[0]["SYSLOG_IDENTIFIER"] == "colibri"
    assert sent[0]["PRIORITY"] == "4"
