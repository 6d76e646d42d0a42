"""The embedded store, writing side: a batch is one transaction, and the present state is kept within it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from probe.collector import fared_table, homes_table, retention
from probe.collector.instants import MINUTE, SECOND
from probe.collector.instants import now as wall_clock
from probe.collector.retention import Rules
from probe.collector.schema import open_writer, transaction
from probe.collector.sqlite_batch import Batch, Memory
from probe.collector.verdicts import Judged, Outcome
from probe.model.errors import StoreError

SWEEP, SWEEP_AGAIN = 10 * MINUTE, SECOND
"""How often what is old is looked for; and while there is more of it."""

_log = logging.getLogger(__name__)


class SqliteStore:
    """Implements :class:`probe.collector.store.Store`. ``on_commit`` is called after every commit, in this thread."""

    def __init__(
        self, path: str, on_commit: Callable[[], None] = lambda: None, control: Collection[str] = (), *,
        own_homes: bool = False, kept: Rules | None = None, now: Callable[[], int] = wall_clock,
    ) -> None:  # fmt: skip
        """``control``: probes of the control vantage; ``own_homes``: a probe whose prefix the broker does not tell
        is a home of its own; ``kept``: how long what is kept, for ever if it is left out; ``now`` in ms. Raises
        StoreError."""
        self._db = open_writer(path)
        self._on_commit = on_commit
        self._control = frozenset(control)
        self._own_homes = own_homes
        self._kept, self._now = kept or Rules(), now
        self._sweep_at = 0  # when more may be let go of, ms
        self._memory = Memory()
        self._version: int | None = None  # another number: another connection has written

    def close(self) -> None:
        self._db.close()

    def pinned_keys(self) -> dict[str, str]:
        try:
            return dict(self._db.execute("SELECT id, key FROM probes WHERE key <> ''"))
        except sqlite3.Error as error:
            raise StoreError(f"the probes' keys can't be read: {error}") from error

    def home_secret(self) -> bytes:
        try:
            return homes_table.secret(self._db)
        except sqlite3.Error as error:
            raise StoreError(f"the secret of the homes can't be read: {error}") from error

    def commit(self, batch: Sequence[Judged], *, more: bool = False) -> list[Outcome]:
        try:
            with transaction(self._db), self._remembering() as memory:
                writing = Batch(
                    self._db, memory, self._control, own_homes=self._own_homes, forgotten=self._kept.ids
                )
                outcomes = writing.write(batch, more=more)
        except sqlite3.Error as error:
            raise StoreError(f"a batch of {len(batch)} messages could not be stored: {error}") from error
        self._on_commit()
        self._sweep()
        return outcomes

    def _sweep(self) -> None:
        """Add up, and let go of, a little of what is old, now and then; a disk that is full then is met by the next
        batch."""
        now = self._now()
        if now < self._sweep_at:
            return
        try:
            with transaction(self._db), self._remembering() as memory:
                more = retention.sweep(self._db, self._kept, now)
                more |= fared_table.tidy(self._db, now)
                memory.thinned = None
        except sqlite3.Error as error:
            _log.warning("what is old could not be let go of: %s", error)
            more = False
        self._sweep_at = now + (SWEEP_AGAIN if more else SWEEP)

    @contextmanager
    def _remembering(self) -> Iterator[Memory]:
        """What is remembered, if it still holds: nobody else has written, and no transaction has failed."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._memory.forget()
        self._version = None
        yield self._memory
        self._version = version
