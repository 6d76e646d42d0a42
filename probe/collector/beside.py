"""A second hand in the embedded database, beside the store's writer: for what is remembered, not measured."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from probe.collector.schema import open_writer, transaction
from probe.model.errors import StoreError


class Beside:
    """May be used from several threads. Every call raises StoreError, in the words of ``trouble``."""

    trouble = "it can't be read or written"

    def __init__(self, path: str) -> None:
        """Raises StoreError."""
        self._db = open_writer(path)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Beside the store's writer, without waiting for it."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StoreError(f"{self.trouble}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """In one transaction."""
        with self._reading() as db, transaction(db):
            yield db
