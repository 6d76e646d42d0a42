"""``make bench``: how long command and daemon take to start, and what memory the idle one holds, against their budgets.

Nothing is sent: the daemon has no targets and no broker. Exit status 1 if a budget is exceeded.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_BUDGET_S = 0.1
READY_BUDGET_S = 0.4
MEMORY_BUDGET_MB = 60.0

COLIBRI = str(Path(sys.executable).with_name("colibri"))
RUNS = 20
READY_WITHIN_S = 30.0
SETTLED_AFTER_S = 1.0  # what starts after READY (first timers, first look at the line) counts as idle, too

IDLE = """
[probe]
id = "bench"
state_dir = "{folder}/state"

[control]
socket = "{folder}/control.sock"
group = ""
"""


def start_up() -> float:
    """Median seconds of ``colibri --version``, over 20 runs, one before them not counted."""
    taken = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        subprocess.run([COLIBRI, "--version"], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def ready() -> float:
    """Median seconds from exec to READY=1 of ``colibri run``, over 20 runs, one before them not counted.

    Raises RuntimeError as :func:`idle` does.
    """
    return statistics.median([idle(settled=0.0)[1] for _ in range(RUNS + 1)][1:])


def idle(settled: float | None = None) -> tuple[float, float]:
    """Resident memory in MB (10^6 bytes) of ``colibri run`` that has nothing to do, ``settled`` seconds after it was
    ready; and how many seconds it took until then.

    Raises RuntimeError, with the daemon's own words, if it does not say READY (sd_notify) within 30 s.
    """
    with tempfile.TemporaryDirectory(prefix="colibri-bench-") as folder:
        config = Path(folder, "colibri.toml")
        config.write_text(IDLE.format(folder=folder))
        log = Path(folder, "log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, log.open("wb") as output:
            notify.bind(f"{folder}/notify")
            begun = time.perf_counter()
            daemon = subprocess.Popen(
                [COLIBRI, "run", "--config", str(config)],
                env=os.environ | {"NOTIFY_SOCKET": f"{folder}/notify"},
                stdout=output,
                stderr=output,
            )
            try:
                while b"READY=1" not in _notice(notify, daemon).split(b"\n"):
                    pass
                taken = time.perf_counter() - begun
                time.sleep(SETTLED_AFTER_S if settled is None else settled)
                return _resident(daemon.pid), taken
            except OSError:
                raise RuntimeError(f"the daemon did not get ready:\n{log.read_text()}") from None
            finally:
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(10)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()


def _notice(notify: socket.socket, daemon: subprocess.Popen[bytes]) -> bytes:
    """The daemon's next word to its service manager; OSError once it is dead or late."""
    deadline = time.monotonic() + READY_WITHIN_S
    notify.settimeout(0.2)
    while daemon.poll() is None and time.monotonic() < deadline:
        try:
            return notify.recv(4096)
        except TimeoutError:
            continue
    raise TimeoutError


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def main() -> int:
    """Measure, print, compare."""
    print(f"Colibri on {platform.machine()}, Python {platform.python_version()}")
    start, until_ready, (memory, _) = start_up(), ready(), idle()
    print(f"  colibri --version   {start * 1000:6.0f} ms   (budget {START_BUDGET_S * 1000:.0f} ms)")
    print(f"  daemon ready        {until_ready * 1000:6.0f} ms   (budget {READY_BUDGET_S * 1000:.0f} ms)")
    print(f"  idle daemon         {memory:6.1f} MB   (budget {MEMORY_BUDGET_MB:.0f} MB)")
    return int(start > START_BUDGET_S or until_ready > READY_BUDGET_S or memory > MEMORY_BUDGET_MB)


if __name__ == "__main__":
    sys.exit(main())
