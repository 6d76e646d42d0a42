"""The score's runner: ``colibri measure`` in a process of its own, forked from one that has everything imported.

A program that starts afresh spends two thirds of a short measurement's processor time on imports, which thousands of
runs feel. What is measured is the same command with the same arguments (contract 2).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from probe import measurements
from probe.cli.main import main
from probe.lab.lab import Lab
from probe.lab.scenario import Expectation
from probe.lab.score import Outcome, measured

_LAZY = (
    "probe.cli.measure", "probe.cli.show", "probe.agent.adhoc", "probe.agent.config", "probe.engine.run",
    "rfc8785", "cryptography.hazmat.primitives.ciphers",
)  # fmt: skip
"""What a measurement imports only when it is needed."""
_FILES = 65536  # more than a process has open here
_FAULT = 70  # exit status of a program that has a fault (sysexits.h)


def forked(lab: Lab, expected: Expectation) -> Outcome:
    """A :class:`~probe.lab.score.Runner`. ``seconds`` are without the start of the program."""
    return measured(lab, expected, colibri)


def colibri(lab: Lab, operator: str, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[bytes]:
    """``colibri WORDS`` in the home of an operator. Raises TimeoutExpired after so many seconds; it is killed then."""
    _import_everything()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "output"), Path(folder, "errors")]
        with lab.enter(operator):
            child = os.fork()
            if not child:
                _become(words, files)
        status = _wait(child, seconds)
        if status is None:
            raise subprocess.TimeoutExpired(list(words), seconds)
        return subprocess.CompletedProcess(list(words), status, *(file.read_bytes() for file in files))


def _wait(child: int, seconds: float) -> int | None:
    """The exit status (negative: the signal that ended it); None if it had to be killed."""
    ended = False
    handle = os.pidfd_open(child)
    try:
        ended = bool(select.select([handle], [], [], seconds)[0])
    finally:  # whatever interrupts us: it must not outlive us
        os.close(handle)
        if not ended:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ended else None


def _import_everything() -> None:
    for name in _LAZY:
        import_module(name)
    for name in measurements.names():
        measurements.load(name)


def _become(words: Sequence[str], files: Sequence[Path]) -> None:
    """In the child: be that command, and never return. None of our open files is kept: others wait for their end."""
    status = _FAULT
    try:
        os.closerange(0, _FILES)
        os.open(os.devnull, os.O_RDONLY)
        for file in files:
            os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        with (
            open(1, "w", encoding="utf-8", closefd=False) as output,
            open(2, "w", encoding="utf-8", closefd=False) as errors,
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
        ):
            try:
                status = main(list(words))
            except BaseException:
                traceback.print_exc()
                raise
    finally:
        os._exit(status)
