"""What systemd hears, on a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.agent.notify import Heartbeats, Notifier


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def heard(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def test_the_states_of_the_daemon(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("up\nand running")
    assert heard(manager) == ["READY=1", "STATUS=up and running"]
    notifier.status("x")
    assert heard(manager) == ["STATUS=x"]
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    reloading, when = heard(manager)
    assert reloading == "RELOADING=1"
    assert before <= int(when.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.stopping("bye")
    assert heard(manager) == ["STOPPING=1", "STATUS=bye"]


def test_outside_systemd_nothing_is_sent_and_nothing_fails(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    Notifier().ready("x")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_a_manager_that_is_gone_is_no_reason_to_fail(manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier()
    (tmp_path / "notify").unlink()
    notifier.ready("x")
    notifier.status("y")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdogs_time(environment: dict[str, str], seconds: float) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/x", **environment}).watchdog == seconds
    assert Notifier(environment).watchdog == 0.0


def test_only_progress_feeds_the_watchdog(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    now = 0.0
    beats = Heartbeats(lambda: now)
    publisher, worker = beats.expect("publisher", 5.0), beats.expect("worker", 5.0)

    async def next_word() -> list[str]:
        return await asyncio.to_thread(heard, manager)

    async def scene() -> None:
        nonlocal now
        feeding = asyncio.create_task(Notifier().feed_watchdog(beats))
        assert await next_word() == ["WATCHDOG=1"]
        now = 6.0
        worker()
        words = [await next_word() for _ in range(4)]
        assert words[-2:] == [["STATUS=stuck: publisher"]] * 2
        publisher()
        words = [await next_word() for _ in range(4)]
        assert words[-2:] == [["WATCHDOG=1"]] * 2
        feeding.cancel()

    asyncio.run(scene())


def test_without_a_watchdog_feeding_ends_at_once() -> None:
    asyncio.run(asyncio.wait_for(Notifier({}).feed_watchdog(Heartbeats()), 1))


def test_who_is_late_is_named() -> None:
    now = 0.0
    beats = Heartbeats(lambda: now)
    beats.expect("a", 1.0)
    beats.expect("b", 3.0)
    assert beats.stalled() == []
    now = 2.0
    assert beats.stalled() == ["a"]
    beats.beat("a")
    assert beats.stalled() == []
