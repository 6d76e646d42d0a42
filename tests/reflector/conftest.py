"""A reflector on a loopback address of its own: several test runs may have one at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]


class Running(msgspec.Struct):
    """A reflector's process; ``silent`` is its address that never answers."""

    address: str
    silent: str
    state: Path
    process: subprocess.Popen[str]


def loopback(number: int) -> str:
    """An address of 127.0.0.0/8 that is this process's own."""
    return f"127.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}.{number}"


def start(address: str, state: Path, *options: str, through: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Run the command, ``through`` another one, and wait until it serves."""
    command = [*through, sys.executable, "-m", "probe", "reflector", "run", "--listen", address]
    command += ["--state", str(state), *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    written = ""
    patience = threading.Timer(20, process.kill)  # ends the loop: nothing more is written then
    patience.start()
    try:
        for line in process.stderr:
            written += line
            if "serving" in line:
                return process
    finally:
        patience.cancel()
    process.kill()
    process.communicate()
    raise AssertionError(f"it does not start: {written}")


def stop(process: subprocess.Popen[str]) -> str:
    """End it as systemd does; what it had written."""
    process.terminate()
    _, written = process.communicate(timeout=10)
    assert process.returncode == 0, written
    return written


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A reflector that serves its own loopback address."""
    address, silent, state = loopback(1), loopback(2), tmp_path_factory.mktemp("reflector")
    process = start(address, state, "--silent", silent, "--name", "reflector.example", "--zone", "r.example")
    yield Running(address, silent, state, process)
    assert process.poll() is None, "it died"
    stop(process)
