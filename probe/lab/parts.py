"""The child processes of the demo: each logs into a file of its own, and none outlives us, however we end."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from probe.model.errors import CannotMeasure

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_GRACE = 5.0  # seconds for all of them to end by themselves


def end_with_parent() -> None:
    """For a process of ``multiprocessing``: be killed when whoever made it dies, however that happens."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        _end_with(parent.pid, ctypes.CDLL(None))


def _end_with(parent: int | None, libc: ctypes.CDLL) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


class Parts:
    """Started one after the other, ended the other way round. To be used by the main thread alone: the kernel ends the
    children with the *thread* that made them."""

    def __init__(self, folder: Path) -> None:
        """``folder``: where the logs go."""
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process. Raises CannotMeasure where the program can't be run."""
        die_with_parent = partial(_end_with, os.getpid(), ctypes.CDLL(None))  # loaded here, not behind the fork
        with (self._folder / f"{name}.log").open("wb") as log:
            try:
                # A session of its own: Ctrl-C is for us, and we end the parts in their order.
                self._running[name] = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, and no thread holds a lock of its
                )  # fmt: skip
            except OSError as error:
                raise CannotMeasure(f"{name} can't be started: {error}") from error
        return self._running[name]

    def check(self) -> None:
        """Raise CannotMeasure, with its last words, if a part has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise CannotMeasure(f"{name} ended with status {process.returncode}: {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        text = (self._folder / f"{name}.log").read_text("utf-8", errors="replace").strip()
        return " / ".join(text.splitlines()[-3:]) or "it said nothing"

    def stop(self) -> None:
        """End all: the last one first, by force what does not end in 5 s."""
        deadline = time.monotonic() + _GRACE
        for process in reversed(self._running.values()):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._running.values()):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
