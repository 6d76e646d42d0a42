"""``make bench``: how long command and daemon take to start, and what memory the idle one holds, against their budgets.

Nothing is sent: the daemon has no targets and no broker. Programs run as they do where they are installed.

    bench.py [--write FILE] [-- COMMAND …]

``--write`` puts the table between the marks in FILE. COMMAND (the engine's part) is run afterwards, whatever was seen.
Exit status 1, in the end, if a budget is exceeded, the daemon does not get ready or COMMAND fails.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench_common import byte_code, write

START_BUDGET_S = 0.1
READY_BUDGET_S = 0.4
MEMORY_BUDGET_MB = 30.0

SECTION = "start"
"""Of docs/benchmarks.md."""
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


@contextlib.contextmanager
def as_installed() -> Iterator[None]:
    """Programs started meanwhile have byte code as installers make it (deploy/common.sh, systemd/optimised.conf): once,
    and without docstrings. The first of each kind makes it here."""
    former = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="colibri-bytecode-") as folder:
        os.environ.update(byte_code(folder), PYTHONOPTIMIZE="2")
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(former)


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


def rows() -> list[tuple[str, str, str, bool]]:
    """Measure: (what, seen, budget, whether it was kept). A daemon that does not get ready keeps none."""
    names = ("`colibri run`, from exec to READY=1", "idle, without a broker: resident")
    with as_installed():
        start = start_up()
        found = [("`colibri --version`", *_held(start * 1000, START_BUDGET_S * 1000, "ms"))]
        try:
            until_ready, (memory, _) = ready(), idle()
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return found + [(name, "**not ready**", "", False) for name in names]
    return [*found, (names[0], *_held(until_ready * 1000, READY_BUDGET_S * 1000, "ms")),
            (names[1], *_held(memory, MEMORY_BUDGET_MB, "MB"))]  # fmt: skip


def _held(seen: float, budget: float, unit: str) -> tuple[str, str, bool]:
    digits = 1 if unit == "MB" else 0
    return f"{seen:.{digits}f} {unit}", f"{budget:.0f} {unit}", seen <= budget


def report(found: Sequence[tuple[str, str, str, bool]]) -> str:
    """The table, as Markdown, with the day and the machine."""
    lines = [f"| {what} | {seen} | {budget} | {'yes' if kept else '**no**'} |" for what, seen, budget, kept in found]
    said = (f"Medians of {RUNS}, {dt.datetime.now(dt.UTC).date()}, as installed (byte code made, without docstrings); "
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
            f"load {os.getloadavg()[0]:.1f} in the last minute.")
    return "\n".join([said, "", "| what | seen | budget | kept |", "|---|---:|---:|---|", *lines])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write if asked to, and only then compare."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", metavar="FILE", type=Path)
    parser.add_argument("then", metavar="COMMAND", nargs="*")
    args = parser.parse_args(argv)
    found = rows()
    text = report(found)
    print(text, flush=True)
    if args.write:
        write(args.write, SECTION, text)
    failed = [what for what, _, _, kept in found if not kept]
    if args.then and subprocess.run(args.then, check=False).returncode:
        failed.append(" ".join(args.then))
    for what in failed:
        print(f"bench: failed: {what}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
