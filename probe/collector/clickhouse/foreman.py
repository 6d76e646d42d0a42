"""The thread that settles, while this collector is the one that does, and that says when something has changed."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from probe.collector.clickhouse.lease import SETTLED, Lease
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.settle import Settler
from probe.model.errors import StoreError

PAUSE = 1.0
"""Seconds between two looks at the journal."""

_log = logging.getLogger(__name__)


class Foreman:
    """``changed`` is called from the thread after something has, whoever settled it."""

    def __init__(
        self, link: Link, settler: Settler, lease: Lease, changed: Callable[[], None], pause: float = PAUSE, *,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """``link`` and ``lease`` for this thread alone; ``pause`` in seconds; ``tidy``: what else the one that settles
        sees to, whenever there is nothing to settle."""
        self._tidy = tidy
        self._link, self._settler, self._lease, self._changed, self._pause = link, settler, lease, changed, pause
        self._stop = threading.Event()
        self._seen = ""
        self.settles = False
        """Whether it is this collector that does."""
        self.trouble = ""
        """What is wrong right now; empty if nothing is."""
        self._thread = threading.Thread(target=self._run, name="settle", daemon=True)

    def start(self) -> None:
        """Until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End after the pass that is running, and let another collector do it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def finish(self) -> None:
        """Settle all there is, here and now, and give the lease back; at once if another collector has it. Raises
        StoreError."""
        patience = time.monotonic() + 2 * SETTLED / 1000
        while (more := self.turn()) or (not self.settles and time.monotonic() < patience):
            if not more:
                time.sleep(self._pause)
        self._lease.release()

    def turn(self) -> bool:
        """One look; whether there may be more to do at once. Raises StoreError."""
        held = self._lease.held()
        if held and not self.settles:
            self._settler.begin()
            _log.info("this collector settles what all of them store")
        self.settles = held
        more = held and self._settler.settle()
        if held and not more:
            self._tidy()
        ((cells,),) = self._link.rows("i", "SELECT max(change) FROM cells")
        ((incidents,),) = self._link.rows("i", "SELECT max(change) FROM incidents")
        seen = f"{cells} {incidents}"
        if seen != self._seen:
            self._seen = seen
            self._changed()
        return more

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    more = self.turn()
                    self.trouble = ""
                except StoreError as error:
                    more = self.settles = False
                    if not self.trouble:
                        _log.warning("what is stored can't be settled: %s", error)
                    self.trouble = str(error)
                if not more:
                    self._stop.wait(self._pause)
            self._lease.release()
        except StoreError as error:
            _log.warning("the lease could not be given back: %s", error)
        except BaseException as error:  # noqa: BLE001 - a thread's own end must be seen
            self.trouble = f"settling died: {error!r}"
            _log.exception("settling died")
            self.settles = False


def name() -> str:
    """A holder's name that no other process has."""
    return os.urandom(8).hex()

