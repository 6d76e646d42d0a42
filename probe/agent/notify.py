"""systemd's side of the daemon: READY, STATUS, RELOADING, STOPPING, and a watchdog that is fed by progress.

Outside systemd (no NOTIFY_SOCKET) all of it does nothing. See sd_notify(3).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


class Heartbeats:
    """Who has to show progress, and who has not. ``clock``: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._within: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def expect(self, name: str, within: float) -> Callable[[], None]:
        """From now on ``name`` has to call the function returned, at least once in so many seconds."""
        self._within[name] = within
        self.beat(name)
        return lambda: self.beat(name)

    def beat(self, name: str) -> None:
        """``name`` has made progress."""
        self._last[name] = self._clock()

    def stalled(self) -> list[str]:
        """Those who have made none in their time."""
        now = self._clock()
        return [name for name, within in self._within.items() if now - self._last[name] > within]


class Notifier:
    """Speaks to systemd. ``environment`` is where NOTIFY_SOCKET and WATCHDOG_USEC are looked for."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._there = bool(environment.get("NOTIFY_SOCKET"))
        usec = environment.get("WATCHDOG_USEC", "")
        pid = environment.get("WATCHDOG_PID", "")
        meant = not pid or pid == str(os.getpid())
        self.watchdog = int(usec) / 1e6 if self._there and meant and usec.isdigit() else 0.0
        """Seconds without a sign of life after which systemd kills the process; 0: it does not watch."""

    def _send(self, *lines: str) -> None:
        if not self._there:
            return
        from systemd import daemon

        try:
            daemon.notify("\n".join(lines))
        except OSError as error:  # a manager that is gone is no reason to stop measuring
            log.debug("systemd can't be told: %s", error)

    def ready(self, status: str) -> None:
        """The daemon is up (or has finished to reload)."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read again."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """One line that ``systemctl status`` shows."""
        self._send(f"STATUS={_line(text)}")

    def stopping(self, status: str) -> None:
        """The daemon is going down."""
        self._send("STOPPING=1", f"STATUS={_line(status)}")

    async def feed_watchdog(self, heartbeats: Heartbeats) -> None:
        """Send WATCHDOG=1 thrice in systemd's time for as long as everybody makes progress; runs until cancelled.

        Somebody who does not is named in the journal, and systemd is left to end the process.
        """
        if not self.watchdog:
            return
        while True:
            stalled = heartbeats.stalled()
            if stalled:
                log.critical("no progress: %s; the watchdog is not fed", ", ".join(stalled))
                self.status(f"stuck: {', '.join(stalled)}")
            else:
                self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 3)


def _line(text: str) -> str:
    return " ".join(text.split())
