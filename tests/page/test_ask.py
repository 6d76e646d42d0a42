"""Asking the daemon: what it tells, where it is not, and what is no answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.model.home import Change, Changed, Look
from probe.page import ask
from probe.page.ask import Daemon
from tests.page.conftest import VIEW

pytestmark = pytest.mark.loopback


@pytest.fixture
def answering(tmp_path: Path) -> Callable[[bytes], AbstractContextManager[tuple[Daemon, list[bytes]]]]:
    """A daemon that answers one request with given bytes."""

    @contextmanager
    def begin(answer: bytes) -> Any:
        heard: list[bytes] = []
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s"))
            server.listen()

            def serve() -> None:
                link, _ = server.accept()
                with link:
                    heard.append(link.recv(65536))
                    link.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            yield Daemon(str(tmp_path / "s")), heard
            thread.join(10)

    return begin


def test_what_is_told_is_shown(answering: Any) -> None:
    with answering(msgspec.json.encode(VIEW) + b"\n") as (daemon, heard):
        assert daemon.look() == VIEW
    assert heard == [msgspec.json.encode(Look()) + b"\n"]


def test_a_change_and_its_answer(answering: Any) -> None:
    change = Change(code="K7QM", paused=True)
    with answering(b'{"refused": "later", "wait_s": 7.5}\n') as (daemon, heard):
        assert daemon.change(change) == Changed("later", 7.5)
    assert msgspec.json.decode(heard[0], type=Change) == change


@pytest.mark.parametrize("answer", [b"", b"{", b'{"error": "the disk is full", "exit_status": 1}', b"[]\n", b"\xff"])
def test_what_is_no_answer_is_no_success(answering: Any, answer: bytes) -> None:
    with answering(answer) as (daemon, _), pytest.raises(OSError, match="can't be read"):
        daemon.change(Change(code="K7QM", paused=True))

def test_an_answer_without_end_is_cut_short(answering: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_LONGEST", 1000)
    with answering(b" " * 2000) as (daemon, _):
        assert daemon.look() is None


def test_where_no_daemon_is_there_is_nothing_to_show(tmp_path: Path) -> None:
    daemon = Daemon(str(tmp_path / "s"), patience=0.0)
    assert daemon.look() is None
    with pytest.raises(FileNotFoundError):
        daemon.change(Change(code="K7QM"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    assert daemon.look() is None


def test_a_daemon_that_is_just_being_started_anew_is_waited_for(tmp_path: Path) -> None:
    def later() -> None:
        time.sleep(0.3)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s"))
            server.listen()
            link, _ = server.accept()
            with link:
                link.recv(65536)
                link.sendall(msgspec.json.encode(VIEW))

    thread = threading.Thread(target=later)
    thread.start()
    assert Daemon(str(tmp_path / "s"), patience=10).look() == VIEW
    thread.join(10)
