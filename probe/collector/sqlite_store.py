"""The embedded store, writing side: a batch is one transaction, and the present state is kept within it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from probe.collector import homes_table
from probe.collector.schema import open_writer, transaction
from probe.collector.sqlite_batch import Batch, Memory
from probe.collector.verdicts import Judged, Outcome
from probe.model.errors import StoreError


class SqliteStore:
    """Implements :class:`probe.collector.store.Store`. ``on_commit`` is called after every commit, in this thread."""

    def __init__(
        self, path: str, on_commit: Callable[[], None] = lambda: None, control: Collection[str] = (), *,
        own_homes: bool = False,
    ) -> None:  # fmt: skip
        """``control``: probes of the control vantage; ``own_homes``: a probe whose prefix the broker does not tell
        is a home of its own. Raises StoreError."""
        self._db = open_writer(path)
        self._on_commit = on_commit
        self._control = frozenset(control)
        self._own_homes = own_homes
        self._memory = Memory()
        self._version: int | None = None  # another number: another connection has written

    def close(self) -> None:
        self._db.close()

    def pinned_keys(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT id, key FROM probes WHERE key <> ''"))

    def home_secret(self) -> bytes:
        try:
            return homes_table.secret(self._db)
        except sqlite3.Error as error:
            raise StoreError(f"the secret of the homes can't be read: {error}") from error

    def commit(self, batch: Sequence[Judged], *, more: bool = False) -> list[Outcome]:
        try:
            with transaction(self._db), self._remembering() as memory:
                outcomes = Batch(self._db, memory, self._control, own_homes=self._own_homes).write(batch, more=more)
        except sqlite3.Error as error:
            raise StoreError(f"a batch of {len(batch)} messages could not be stored: {error}") from error
        self._on_commit()
        return outcomes

    @contextmanager
    def _remembering(self) -> Iterator[Memory]:
        """What is remembered, if it still holds: nobody else has written, and no transaction has failed."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._memory.forget()
        self._version = None
        yield self._memory
        self._version = version
