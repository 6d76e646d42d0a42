"""A bad line costs time, not what has come already."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.appliance.download import fetch
from probe.model.errors import CannotMeasure

pytestmark = pytest.mark.loopback
CONTENT = bytes(range(256)) * 500


class Handler(http.server.BaseHTTPRequestHandler):
    """A line that breaks off after ``most`` bytes of each answer. (On the class: the server makes the instances.)"""

    most = len(CONTENT)
    ranges = True
    asked: list[str]

    def do_GET(self) -> None:
        """One answer, cut short."""
        if self.path != "/x":
            self.send_error(404)
            return
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        begin = int(wanted[6:-1]) if wanted and self.ranges else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        self.wfile.write(CONTENT[begin:][: self.most])

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    class Own(Handler):
        asked: list[str] = []  # noqa: RUF012 - one a test

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/x", Own
        listening.shutdown()
        thread.join()


def test_it_goes_on_where_it_broke_off(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, line = server
    line.most = 50_000
    path = tmp_path / "part"
    assert fetch(url, path, len(CONTENT)) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert line.asked == ["", "bytes=50000-", "bytes=100000-"]


def test_a_part_from_before_is_not_asked_for_again(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, _ = server
    path = tmp_path / "part"
    path.write_bytes(CONTENT[:100_000])
    assert fetch(url, path, len(CONTENT)) == 28_000
    assert fetch(url, path, len(CONTENT)) == 0
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, line = server
    line.ranges = False
    path = tmp_path / "part"
    path.write_bytes(b"old" * 100)
    assert fetch(url, path, len(CONTENT)) == len(CONTENT) - 300
    assert path.read_bytes() == CONTENT


def test_a_line_that_never_holds_is_given_up(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, line = server
    line.most = 1000
    path = tmp_path / "part"
    with pytest.raises(CannotMeasure, match="broke off too often"):
        fetch(url, path, len(CONTENT), tries=3)
    assert path.read_bytes() == CONTENT[:3000]


def test_more_than_was_announced_is_refused(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, _ = server
    with pytest.raises(CannotMeasure, match="more came than was announced"):
        fetch(url, tmp_path / "part", 10, tries=2)


def test_what_is_not_there_is_said_at_once(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, line = server
    with pytest.raises(CannotMeasure, match="HTTP 404"):
        fetch(url + "y", tmp_path / "part", 10)
    assert line.asked == []
