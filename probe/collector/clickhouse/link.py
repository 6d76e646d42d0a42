"""Asking the servers over HTTP: a few kept connections, the next server when one is gone, one error for everything.

The standard library's client does: a query is a POST with rows in its body or its answer.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

from probe.collector.clickhouse import rowbinary
from probe.collector.clickhouse.address import Address, Host
from probe.model.errors import StoreError

PATIENCE = 60.0
"""Seconds for one answer."""
SETTINGS = {
    # Lists of ids stand in the text of queries.
    "max_query_size": "67108864", "max_ast_elements": "10000000", "max_expanded_ast_elements": "10000000",
    # A row is on its shard when an INSERT returns, or `stored` would promise too much.
    "insert_distributed_sync": "1",
    # A late delivery may be of many months.
    "max_partitions_per_insert_block": "0",
}  # fmt: skip
UNKNOWN_TO_OLD = ("max_partitions_per_insert_block", "insert_quorum_parallel", "allow_nondeterministic_mutations")
"""Settings that a server before 20.10 may refuse, and does without."""
OF_REPLICAS = {
    # Whoever reads sees what was written, whichever replica is asked: each write is on a majority, in order.
    "select_sequential_consistency": "1", "insert_quorum_parallel": "0", "insert_quorum_timeout": "30000",
    # Two equal batches of counts are not one that came twice.
    "insert_deduplicate": "0",
    # Which rows go is asked by each replica; where two found different ones, one takes over the other's part.
    "allow_nondeterministic_mutations": "1",
}  # fmt: skip
"""Settings where the tables are replicated."""
_KEPT = 4  # connections
_BUSY = (b"Code: 286", b"Code: 289")  # the write before is not on enough replicas yet; this one has not got it yet
_BUSY_FOR, _BUSY_PAUSE = 20.0, 0.05  # seconds
_MODERN = (20, 10)
_GONE = (OSError, http.client.HTTPException)


class Link(Protocol):
    """What the store needs of a way to the servers. May be used from several threads; every call raises StoreError."""

    database: str
    cluster: str
    hosts: int
    modern: bool
    replicated: bool

    def run(self, statement: str, host: int | None = None) -> None:
        """Without an answer; on one server if its number is given, else on any."""

    def insert(self, table: str, columns: str, kinds: str, rows: Iterable[Sequence[Any]]) -> None:
        """Rows into a table, in one statement; on the disks when it returns. No rows: nothing happens."""

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:
        """The answer to a query, by the kinds of :mod:`rowbinary`."""

    def close(self) -> None:
        """Let go of it."""


class HttpLink:
    """Implements :class:`Link`."""

    def __init__(self, address: Address, password: str = "") -> None:
        """Asks the servers for their version. Raises StoreError if none answers, or none lets us in."""
        self.database, self.cluster, self.hosts = address.database, address.cluster, len(address.hosts)
        self._address, self.replicated = address, bool(address.quorum)
        self._headers = {"X-ClickHouse-User": address.user, **({"X-ClickHouse-Key": password} if password else {})}
        self._context = ssl.create_default_context() if address.tls else None
        self._lock = threading.Lock()
        self._idle: list[tuple[int, http.client.HTTPConnection]] = []
        self._first = 0
        self._settings: dict[str, str] = {}
        self.modern = False
        try:
            ((version,),) = rowbinary.decode("s", self._any("SELECT version() FORMAT RowBinary", database=False))
            self.modern = tuple(int(part) for part in version.split(".")[:2]) >= _MODERN
        except ValueError as error:
            self.close()
            raise StoreError(f"at {', '.join(map(str, address.hosts))} is no ClickHouse: {error}") from error
        wanted = SETTINGS | ({**OF_REPLICAS, "insert_quorum": str(address.quorum)} if self.replicated else {})
        known = {name: value for name, value in wanted.items() if self.modern or name not in UNKNOWN_TO_OLD}
        self._settings = {**known, **dict(address.settings)}

    def run(self, statement: str, host: int | None = None) -> None:
        if host is None:
            self._any(statement)
        else:
            self._ask(host, statement, b"", database=False)

    def insert(self, table: str, columns: str, kinds: str, rows: Iterable[Sequence[Any]]) -> None:
        data = rowbinary.encode(kinds, rows)
        if data:
            self._any(f"INSERT INTO {table} ({columns}) FORMAT RowBinary\n", data)

    def rows(self, kinds: str, query: str, host: int | None = None) -> list[tuple[Any, ...]]:
        asked = f"{query} FORMAT RowBinary"
        data = self._any(asked) if host is None else self._ask(host, asked, b"", database=False)
        try:
            return rowbinary.decode(kinds, data)
        except ValueError as error:  # the answer breaks off where the server fails half-way
            raise StoreError(f"the store's answer can't be read: {error}") from error

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _any(self, statement: str, data: bytes = b"", *, database: bool = True) -> bytes:
        """From the first server that is there; of replicas that do not agree yet, when they do."""
        deadline = time.monotonic() + _BUSY_FOR
        while True:
            try:
                return self._first_of_all(statement, data, database=database)
            except _BusyError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_BUSY_PAUSE)

    def _first_of_all(self, statement: str, data: bytes, *, database: bool) -> bytes:
        first, troubles = self._first, list[StoreError]()
        for step in range(self.hosts):
            number = (first + step) % self.hosts
            try:
                answer = self._ask(number, statement, data, database=database)
            except (UnreachableError, _BusyError) as error:
                troubles.append(error)
            else:
                self._first = number
                return answer
        raise next((one for one in troubles if isinstance(one, _BusyError)), troubles[-1])

    def _ask(self, number: int, statement: str, data: bytes, *, database: bool) -> bytes:
        host = self._address.hosts[number]
        settings = {"database": self.database} if database else {}
        path = f"/?{urlencode({**self._settings, **settings})}"
        connection, used = self._take(number)
        body = statement.encode() + data
        while True:
            try:
                connection.request("POST", path, body, self._headers)
                response = connection.getresponse()
                answer = response.read()
                break
            except _GONE as error:
                connection.close()
                # A connection that was kept may have been closed meanwhile: the same server gets a second chance.
                # Whatever is sent twice is stored once.
                if not used:
                    raise UnreachableError(f"the store {host} is out of reach: {_said(error)}") from error
                connection, used = self._open(host), False
        if response.will_close:
            connection.close()
        else:
            self._give(number, connection)
        if response.status != http.client.OK:
            kind = _BusyError if answer.startswith(_BUSY) else StoreError
            raise kind(f"the store {host} says: {answer[:500].decode('utf-8', 'replace').strip()}")
        return answer

    def _take(self, number: int) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            for one in self._idle:
                if one[0] == number:
                    self._idle.remove(one)
                    return one[1], True
        return self._open(self._address.hosts[number]), False

    def _give(self, number: int, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._idle.append((number, connection))
            over = self._idle.pop(0) if len(self._idle) > _KEPT * self.hosts else None
        if over is not None:
            over[1].close()

    def _open(self, host: Host) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(host.name, host.port, timeout=PATIENCE, context=self._context)
        return http.client.HTTPConnection(host.name, host.port, timeout=PATIENCE)


class UnreachableError(StoreError):
    """This server; another one may do."""


class _BusyError(StoreError):
    """Replicas that are about to agree."""


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
