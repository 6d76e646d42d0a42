"""A view to show, a daemon that is not one, and the page served on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.model.finding import Line
from probe.model.home import Category, Change, Changed, Told, View
from probe.page.ask import Daemon
from probe.page.server import Server

NASTY = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>&'"


def told(target: str, verdict: str = "clean", **changes: Any) -> Told:
    made = Told(measurement="dns_injection", target=target, group="", category="", verdict="clean",
                technique=None, at="2026-01-02T00:00:00.000Z", reasons=["because of this"])  # fmt: skip
    return msgspec.structs.replace(made, verdict=verdict, **changes)


VIEW = View(
    probe="p-abcdefghij", software="colibri 0.1.0", since="2026-01-01T00:00:00.000Z", now="2026-01-02T00:30:00.000Z",
    line=Line("Operator A", 64500, "MA", "fixed"), link="up", clock="synchronised", feed="connected", trouble="",
    waiting=2, dropped=0, planned=7, bytes_per_day=50_000_000, paused={}, counts={"clean": 3},
    findings=[told("works.example"), told("blocked.example", "interfered", technique="dns_injection")],
    categories=[Category("politics", 3, on=False), Category("religion", 1, on=True)], stalled=[],
)  # fmt: skip


def view(**changes: Any) -> View:
    return msgspec.structs.replace(VIEW, **changes)


class FakeDaemon(Daemon):
    """Shows ``view``; remembers what was asked and answers ``answer``."""

    def __init__(self) -> None:
        super().__init__("/nowhere", 0.0)
        self.view: View | None = VIEW
        self.answer: Changed | OSError = Changed("")
        self.asked: list[Change] = []

    def look(self) -> View | None:
        return self.view

    def change(self, change: Change) -> Changed:
        self.asked.append(change)
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


class Served(msgspec.Struct):
    """A page on loopback, what is behind it, and the thread that serves it."""

    port: int
    daemon: FakeDaemon
    server: Server
    thread: threading.Thread

    def send(self, data: bytes) -> bytes:
        """Raw bytes in, all that comes back out."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := link.recv(65536):
                answer += piece
        return answer

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers (lower-case names) and body."""
        return parsed(self.send(request(method, path, headers)))

    def post(self, path: str, form: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """As :meth:`get`; ``form`` is the body."""
        body = form.encode()
        return parsed(self.send(request("POST", path, {"Content-Length": str(len(body)), **headers}) + body))


def request(method: str, path: str, headers: dict[str, str]) -> bytes:
    named = {"Host": "colibri.local"} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode()


def parsed(answer: bytes) -> tuple[int, dict[str, str], str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body.decode()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def begin(idle: float = 0.0) -> Served:
        listener = socket.create_server(("127.0.0.1", 0))
        daemon = FakeDaemon()
        server = Server(listener, daemon, tmp_path / "COLIBRI-STATUS.txt", idle)
        thread = threading.Thread(target=server.serve)
        thread.start()
        made.append(Served(listener.getsockname()[1], daemon, server, thread))
        return made[-1]

    yield begin
    for one in made:
        one.server.stop()
        one.thread.join(10)
        assert not one.thread.is_alive()
        one.server.listener.close()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()
