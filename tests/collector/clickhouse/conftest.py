"""The same desks as the embedded store's, on ClickHouse: today's in this process (chDB), Debian's as a server, and two
servers as shards of one. Whatever is not installed is skipped; `make test-long` installs it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from probe.collector.clickhouse import rowbinary
from probe.collector.clickhouse.address import parse
from probe.collector.clickhouse.link import SETTINGS, HttpLink, Link
from probe.collector.clickhouse.reader import ClickHouseReader
from probe.collector.clickhouse.settle import Settler
from probe.collector.clickhouse.store import ClickHouseStore, Ticker
from probe.collector.verdicts import Judged, Outcome
from probe.model.errors import StoreError
from tests.collector.conftest import Desk, free_port, until

_NUMBERS = itertools.count()


class ChdbLink:
    """ClickHouse in this process: what `HttpLink` is over the network. Its one session is shared by all databases."""

    cluster, hosts, modern, replicated = "", 1, True, False
    _session: Any = None

    def __init__(self, folder: Path, database: str) -> None:
        if ChdbLink._session is None:
            ChdbLink._session = importlib.import_module("chdb.session").Session(str(folder / "chdb"))
            for name in ("max_query_size", "max_ast_elements", "max_expanded_ast_elements"):
                ChdbLink._session.query(f"SET {name} = {SETTINGS[name]}")
        self.database = database
        self._file = folder / f"rows-{database}"

    def run(self, statement: str, host: int | None = None) -> None:
        self._ask(statement, use=host is None)

    def insert(self, table: str, columns: str, kinds: str, rows: Iterable[Sequence[Any]]) -> None:
        data = rowbinary.encode(kinds, rows)
        if data:
            self._file.write_bytes(data)
            self._ask(f"INSERT INTO {table} ({columns}) FROM INFILE '{self._file}' FORMAT RowBinary")

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:
        return rowbinary.decode(kinds, self._ask(f"{query} FORMAT RowBinary", use=host is None))

    def close(self) -> None:
        """The session is everybody's."""

    def _ask(self, statement: str, *, use: bool = True) -> bytes:
        try:
            if use:
                self._session.query(f"USE {self.database}")
            answer: bytes = self._session.query(statement).bytes()
        except Exception as error:
            raise StoreError(f"chDB says: {error}") from error
        return answer or b""


class BreakingLink:
    """A link on which every call fails from the one of a number on; 0: none does."""

    def __init__(self, link: Link) -> None:
        self._link, self.calls, self.breaks_at = link, 0, 0
        self.database, self.cluster, self.hosts, self.modern = link.database, link.cluster, link.hosts, link.modern
        self.replicated = link.replicated

    def run(self, statement: str, host: int | None = None) -> None:
        self._count()
        self._link.run(statement, host)

    def insert(self, table: str, columns: str, kinds: str, rows: Iterable[Sequence[Any]]) -> None:
        some = list(rows)
        if some:
            self._count()
        self._link.insert(table, columns, kinds, some)

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:
        self._count()
        return self._link.rows(kinds, query, host)

    def close(self) -> None:
        self._link.close()

    def _count(self) -> None:
        self.calls += 1
        if 0 < self.breaks_at <= self.calls:
            raise StoreError("out of reach")


class Server:
    """A clickhouse-server on free ports of 127.0.0.1; ``stop`` and ``start`` as often as wanted."""

    def __init__(
        self, folder: Path, cluster: Callable[[], Sequence[Server]], certificate: tuple[Path, Path] | None = None
    ) -> None:
        """``certificate``: it and its key, to speak TLS as well, on the port ``https``."""
        self.more = ""
        """Of its configuration, as deploy/ has it."""
        self.folder, self._cluster, self._certificate, self.https = folder, cluster, certificate, free_port()
        self.http, self.tcp, self._between = free_port(), free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        shards = "".join(
            f"<shard><replica><host>127.0.0.1</host><port>{one.tcp}</port></replica></shard>" for one in self._cluster()
        )
        (self.folder / "users.xml").write_text(
            "<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>"
            "<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>"
            "</yandex>"
        )
        folder, tls = self.folder, ""
        if self._certificate is not None:
            tls = (
                f"<https_port>{self.https}</https_port><openSSL><server>"
                f"<certificateFile>{self._certificate[0]}</certificateFile>"
                f"<privateKeyFile>{self._certificate[1]}</privateKeyFile><verificationMode>none</verificationMode>"
                "</server></openSSL>"
            )
        (folder / "config.xml").write_text(
            f"<yandex><logger><level>error</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>"
            f"{tls}<http_port>{self.http}</http_port><tcp_port>{self.tcp}</tcp_port>"
            f"<interserver_http_port>{self._between}</interserver_http_port><listen_host>127.0.0.1</listen_host>"
            f"<interserver_http_host>127.0.0.1</interserver_http_host><path>{folder}/data/</path>"
            f"<tmp_path>{folder}/tmp/</tmp_path><user_files_path>{folder}/files/</user_files_path>"
            f"<format_schema_path>{folder}/schemas/</format_schema_path><users_config>{folder}/users.xml</users_config>"
            "<default_profile>default</default_profile><default_database>default</default_database>"
            f"<mark_cache_size>50000000</mark_cache_size><remote_servers><both>{shards}</both></remote_servers></yandex>"
        )
        if self.more:
            (self.folder / "config.d").mkdir(exist_ok=True)
            (self.folder / "config.d/colibri.xml").write_text(self.more.replace("clickhouse>", "yandex>"))
        self._process = subprocess.Popen(
            [server_program(), f"--config-file={folder}/config.xml"], cwd=folder, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(self.answers, "clickhouse-server answers", 60)

    def answers(self) -> bool:
        try:
            HttpLink(parse(f"clickhouse://127.0.0.1:{self.http}/default")).close()
        except StoreError:
            return False
        return True

    def stop(self, hard: bool = False) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self._process.wait(30)
            self._process = None


def server_program() -> str:
    found = shutil.which("clickhouse-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("no clickhouse-server: Debian 12 has one (apt-get install clickhouse-server)")
    return found


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two servers that know each other as the cluster `both`."""
    server_program()
    made: list[Server] = []
    made += [Server(tmp_path_factory.mktemp(f"shard{number}"), lambda: made) for number in range(2)]
    try:
        for one in made:
            one.start()
        yield made
    finally:
        for one in made:
            one.stop()


def new_database() -> str:
    return f"colibri_{os.getpid()}_{next(_NUMBERS)}"


@pytest.fixture(params=["chdb", "server", "shards"])
def links(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Link]]:
    """Make a link to a database of the name; closed at the end."""
    make: Callable[[str], Link]
    if request.param == "chdb":
        if importlib.util.find_spec("chdb") is None:
            pytest.skip("no chDB (locks/long.txt)")
        folder = tmp_path_factory.getbasetemp()
        make = functools.partial(ChdbLink, folder)
    else:
        both = request.getfixturevalue("servers")
        places = ",".join(f"127.0.0.1:{one.http}" for one in (both if request.param == "shards" else both[:1]))
        cluster = "?cluster=both" if request.param == "shards" else ""

        def make(database: str) -> Link:
            return HttpLink(parse(f"clickhouse://{places}/{database}{cluster}"))

    with contextlib.ExitStack() as stack:

        def made(database: str) -> Link:
            link = make(database)
            stack.callback(link.close)
            return link

        yield made


@pytest.fixture
def link(links: Callable[[str], Link]) -> Link:
    """A link to a database of its own."""
    return links(new_database())


class SettlingStore(ClickHouseStore):
    """Settles what it stores, as the collector that has the lease does in its own thread."""

    def __init__(self, link: Link, settler: Settler, *, pins: bool) -> None:
        super().__init__(link, pins=pins)
        self._settler = settler

    def commit(self, batch: Sequence[Judged], *, more: bool = False) -> list[Outcome]:
        outcomes = super().commit(batch, more=more)
        while self._settler.settle():
            pass
        return outcomes


class ClickHouseDesk(Desk):
    """A desk as the embedded store has it."""

    def __init__(
        self, link: Link, trusted: dict[str, str] | None = None, control: Collection[str] = (), own_homes: bool = False
    ) -> None:
        self.link, self.trusted, self.path = link, trusted or {}, link.database
        self.settler = Settler(link, Ticker(), control, own_homes=own_homes)
        self.store = SettlingStore(link, self.settler, pins=not trusted)  # type: ignore[assignment]
        self.reader = ClickHouseReader(link)  # type: ignore[assignment]


@pytest.fixture
def desk(link: Link) -> ClickHouseDesk:
    return ClickHouseDesk(link)


@pytest.fixture
def desks(links: Callable[[str], Link]) -> Callable[..., ClickHouseDesk]:
    """Open a desk on a store of the given name."""
    prefix = new_database()

    def make(name: str, *arguments: Any, **options: Any) -> ClickHouseDesk:
        return ClickHouseDesk(links(f"{prefix}_{name.partition('.')[0]}"), *arguments, **options)

    return make


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Desk]:
    """The embedded store's desk, for what needs any store."""
    desk = Desk(tmp_path / "embedded.sqlite3")
    yield desk
    desk.close()
