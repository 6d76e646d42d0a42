"""A daemon for ``make bench``: ``colibri run`` in the lab's home, and what it has spent so far by its own account."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLIBRI = str(Path(sys.executable).with_name("colibri"))
_READY_WITHIN_S, _ENDS_WITHIN_S = 60.0, 20.0
_SETTLES_S = 0.2  # what follows a job (memory that goes back, a line in the log) is spent on it, too


class Daemon:
    """A daemon that runs. ``popen``: starts a process where it belongs; ``config``: its file, with an absolute
    ``control.socket``."""

    def __init__(self, popen: Callable[..., subprocess.Popen[Any]], config: Path, env: dict[str, str]) -> None:
        """Returns when it listens. Raises RuntimeError where it does not come to that."""
        self._socket = str(config.with_name("control.sock"))
        config.write_text(config.read_text() + f'[control]\nsocket = "{self._socket}"\ngroup = ""\n')
        self.env = env | {"COLIBRI_CONFIG": str(config)}
        self._process = popen([COLIBRI, "run"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _READY_WITHIN_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError("the daemon did not get ready")
            time.sleep(0.05)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            self._status()
            return True
        return False

    def _status(self) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(self._socket)
            asked.sendall(b'{"command": "status"}\n')
            with asked.makefile("rb") as answer:
                told: dict[str, Any] = json.loads(answer.readline())
        return told

    def spent(self) -> float:
        """Seconds of CPU that it has used: user and system time of all its threads."""
        time.sleep(_SETTLES_S)
        return float(self._status()["cpu_s"])

    def memory_mb(self) -> float:
        """MB (10^6 bytes) of it in memory."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
