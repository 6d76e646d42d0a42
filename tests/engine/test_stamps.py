"""Kernel time stamps: on before anything is sent."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from probe.engine import stamps


@pytest.mark.loopback
def test_a_packet_that_waits_to_be_read_bears_the_time_of_its_coming() -> None:
    for _ in range(20):  # as a rule nobody else wants stamps in between: each is a new beginning
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            stamps.want(sock)
            sent = time.time_ns()
            sock.sendto(b"x", sock.getsockname())
            came = time.time_ns()
            time.sleep(0.002)
            seconds, nanoseconds = stamps.TIMESPEC.unpack(sock.recvmsg(1, 64)[1][0][2][: stamps.TIMESPEC.size])
        assert sent <= seconds * 1_000_000_000 + nanoseconds <= came


@pytest.mark.loopback
def test_while_the_kernel_gives_none_it_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, False, True]
    monkeypatch.setattr(stamps, "_given", lambda _: answers.pop(0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        stamps.want(sock)
    assert answers == []


@pytest.mark.lab
def test_without_loopback_nothing_is_waited_for_longer_than_its_time() -> None:
    program = "import socket, time; from probe.engine import stamps; began = time.monotonic()\n"
    program += "stamps.want(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)); print(time.monotonic() - began)"
    done = subprocess.run(
        ["unshare", "-Urn", sys.executable, "-W", "ignore", "-c", program],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert 0.1 <= float(done.stdout) < 5
