"""The way to the servers: kept connections, the next server, and errors that say which one and why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from probe.collector.clickhouse import link as link_module
from probe.collector.clickhouse.address import parse
from probe.collector.clickhouse.link import HttpLink
from probe.collector.clickhouse.rowbinary import encode
from probe.model.errors import StoreError
from tests.collector.conftest import free_port

pytestmark = pytest.mark.loopback


class Fake(ThreadingHTTPServer):
    """Answers every query with ``answers[query]``, or says that it is none; remembers what was asked."""

    daemon_threads = True

    def __init__(self, version: str = "26.9.1") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"SELECT version() FORMAT RowBinary": encode("s", [(version,)])}
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.users: set[tuple[str | None, str | None]] = set()
        self.hang_up = False
        self.busy = 0
        """Answers that are errors, whatever is asked."""
        self.error = b"Code: 62. Syntax error"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Fake

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((dict(parse_qsl(urlsplit(self.path).query)), body))
        self.server.users.add((self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]))
        answer = self.server.answers.get(body.partition(b"\n")[0].decode())
        if self.server.busy:
            self.server.busy, answer = self.server.busy - 1, None
        self.send_response(404 if answer is None else 200)
        text = self.server.error if answer is None else answer
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = self.server.hang_up

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    made = [Fake(), Fake()]
    yield made
    for one in made:
        one.shutdown()
        one.server_close()


def test_rows_go_and_come_over_one_kept_connection(fakes: list[Fake]) -> None:
    fake = fakes[0]
    fake.answers["SELECT a, b FROM t FORMAT RowBinary"] = encode("si", [("x", 1), ("y", 2)])
    fake.answers["INSERT INTO t (a, b) FORMAT RowBinary"] = b""
    link = HttpLink(parse(f"clickhouse://me@{fake.place}/d?join_use_nulls=1"), "secret")
    assert link.modern
    assert link.rows("si", "SELECT a, b FROM t") == [("x", 1), ("y", 2)]
    link.insert("t", "a, b", "si", [("z", 3)])
    link.insert("t", "a, b", "si", [])
    link.close()
    settings, sent = fake.asked[-1]
    assert sent == b"INSERT INTO t (a, b) FORMAT RowBinary\n" + encode("si", [("z", 3)])
    assert (settings["database"], settings["insert_distributed_sync"], settings["join_use_nulls"]) == ("d", "1", "1")
    assert fake.users == {("me", "secret")}
    assert (fake.connections, len(fake.asked)) == (1, 3)


def test_an_old_server_is_not_sent_what_it_refuses(fakes: list[Fake]) -> None:
    fakes[0].answers["SELECT version() FORMAT RowBinary"] = encode("s", [("18.16.1",)])
    link = HttpLink(parse(f"clickhouse://{fakes[0].place}"))
    with pytest.raises(StoreError, match=r"the store 127\.0\.0\.1:\d+ says: Code: 62"):
        link.run("NONSENSE")
    link.close()
    assert not link.modern
    assert "max_partitions_per_insert_block" not in fakes[0].asked[-1][0]


def test_the_next_server_answers_for_one_that_is_gone(fakes: list[Fake]) -> None:
    for fake in fakes:
        fake.answers["SELECT 1 FORMAT RowBinary"] = encode("i", [(1,)])
    link = HttpLink(parse(f"clickhouse://127.0.0.1:{free_port()},{fakes[1].place}/d?cluster=c"))
    assert link.rows("i", "SELECT 1") == [(1,)]
    with pytest.raises(StoreError, match="out of reach"):
        link.rows("i", "SELECT 1", host=0)
    link.close()
    assert fakes[1].asked


def replicas(fakes: list[Fake]) -> HttpLink:
    for fake in fakes:
        fake.answers["SELECT 1 FORMAT RowBinary"] = encode("i", [(1,)])
    return HttpLink(parse(f"clickhouse://{fakes[0].place},{fakes[1].place}/d?cluster=c&quorum=2"))


def test_whoever_asks_replicas_sees_what_was_written(fakes: list[Fake]) -> None:
    link = replicas(fakes)
    assert link.replicated
    assert link.rows("i", "SELECT 1") == [(1,)]
    link.close()
    asked = fakes[0].asked[-1][0]
    assert asked["insert_quorum"] == "2"
    assert (asked["select_sequential_consistency"], asked["insert_deduplicate"]) == ("1", "0")
    alone = HttpLink(parse(f"clickhouse://{fakes[0].place}/d"))
    assert not alone.replicated
    with pytest.raises(StoreError):
        alone.run("NONSENSE")
    alone.close()
    assert not link_module.OF_REPLICAS.keys() & fakes[0].asked[-1][0].keys()


@pytest.mark.parametrize("code", [286, 289])
def test_a_replica_that_is_late_is_passed_over_and_two_are_waited_for(fakes: list[Fake], code: int) -> None:
    link = replicas(fakes)
    for fake, busy in zip(fakes, (3, 2), strict=True):
        fake.error, fake.busy = f"Code: {code}, e.displayText() = ...".encode(), busy
    assert link.rows("i", "SELECT 1") == [(1,)]
    assert [fake.busy for fake in fakes] == [0, 0]
    link.close()


def test_replicas_that_never_agree_are_not_waited_for_without_end(
    fakes: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = replicas(fakes)
    monkeypatch.setattr(link_module, "_BUSY_FOR", 0.2)
    for fake in fakes:
        fake.error, fake.busy = b"Code: 289, e.displayText() = Replica doesn't have part", 1000
    with pytest.raises(StoreError, match=r"says: Code: 289, .* Replica doesn't have part"):
        link.rows("i", "SELECT 1")
    link.close()


def test_a_connection_that_was_closed_meanwhile_is_opened_anew(fakes: list[Fake]) -> None:
    fake = fakes[0]
    fake.answers["SELECT 1 FORMAT RowBinary"] = encode("i", [(1,)])
    link = HttpLink(parse(f"clickhouse://{fake.place}"))
    fake.hang_up = True  # without saying so
    assert [link.rows("i", "SELECT 1") for _ in range(3)] == [[(1,)]] * 3
    link.close()
    assert fake.connections > 1


def test_nobody_there_and_an_answer_cut_short(fakes: list[Fake]) -> None:
    with pytest.raises(StoreError, match="is out of reach: Connection refused"):
        HttpLink(parse(f"clickhouse://127.0.0.1:{free_port()}"))
    fakes[0].answers["SELECT 1 FORMAT RowBinary"] = b"\x01\x02"
    link = HttpLink(parse(f"clickhouse://{fakes[0].place}"))
    with pytest.raises(StoreError, match="answer can't be read"):
        link.rows("i", "SELECT 1")
    link.close()
