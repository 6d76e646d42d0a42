"""Looks at the incidents now and then, notes what is to be told, and delivers it: again and again until it is taken."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from probe.collector import instants
from probe.collector.notify.changes import news, settled
from probe.collector.notify.memory import Memory, Outgoing
from probe.collector.notify.message import Notification, notifications
from probe.collector.store import IncidentRow
from probe.model.config import NotifyConfig
from probe.model.errors import StoreError

LOOK = 30.0
"""Seconds between two looks."""
MOST = 100_000
"""Most incidents in a look: more than there will be."""
FIRST_WAIT, LONGEST_WAIT = 30.0, 3600.0
"""Seconds before what failed is tried again: doubling from the one to the other, with jitter."""

_log = logging.getLogger(__name__)


class Courier(Protocol):
    """Takes a notification to where it belongs."""

    async def deliver(self, notification: Notification, at: int) -> str:
        """Send it at a time (ms). Returns what went wrong; empty: it was taken."""


class Incidents(Protocol):
    """The part of the store's reader that is needed."""

    def incidents(self, limit: int) -> list[IncidentRow]:
        """All of them."""


class Subscription(NamedTuple):
    """Who is told, and how."""

    config: NotifyConfig
    courier: Courier


class Desk:
    """Everything that is told, to everyone. Runs in the event loop; what touches the disk runs beside it."""

    def __init__(
        self, subscriptions: Sequence[Subscription], memory: Memory, reader: Incidents, *, site: str,
        now: Callable[[], int], chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        """``site``: the monitor's public address, for links; ``now`` in ms."""
        self._subscriptions = subscriptions
        self._memory = memory
        self._reader = reader
        self._site = site
        self._now = now
        self._chance = chance or random.Random()
        self._waiting: dict[str, dict[tuple[str, str], int]] = {one.config.name: {} for one in subscriptions}
        self._delivered: set[int] = set()  # that the memory could not be told of yet
        self.trouble: dict[str, str] = {}
        """Subscription → why its oldest message could not be delivered."""

    async def run(self) -> None:
        """Until cancelled. A store that can't be read or written is tried again."""
        while True:
            try:
                await asyncio.to_thread(self.look)
                await self.deliver()
            except StoreError as error:
                _log.warning("%s", error)
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Note what is to be told now. Raises StoreError."""
        rows = self._reader.incidents(MOST)
        for config, _ in self._subscriptions:
            self._look(config, rows)

    def _look(self, config: NotifyConfig, rows: list[IncidentRow]) -> None:
        at = self._now()
        begins, told_at = self._memory.begin(config)
        found = news(config, self._memory.told(config.name), rows, at, begins=begins)
        settle = int(config.settle * instants.SECOND)
        ready = settled(found.tell, self._waiting[config.name], at, settle)
        # What opens target by target within the hour would be message after message: the pause gathers it.
        tell = ready if at - told_at >= settle else []
        if begins or tell or found.note or found.forget:
            self._memory.keep(config, found, tell, notifications(config, tell, self._site, at), at)

    async def deliver(self) -> None:
        """Deliver what is due, to everyone side by side. Raises StoreError."""
        ends = await asyncio.gather(*(self._deliver(one) for one in self._subscriptions), return_exceptions=True)
        for end in ends:  # only now: none may still be delivering when the next round begins
            if isinstance(end, BaseException):
                raise end

    async def _deliver(self, subscription: Subscription) -> None:
        config, courier = subscription
        while (waits := await asyncio.to_thread(self._memory.next, config.name)) and waits.next_at <= self._now():
            trouble = ""
            if waits.seq not in self._delivered:
                trouble = await courier.deliver(waits.notification, self._now())
            if not trouble:
                self.trouble.pop(config.name, None)
                self._delivered.add(waits.seq)
                await asyncio.to_thread(self._memory.done, waits.seq)
                self._delivered.discard(waits.seq)
            elif not await self._put_off(config, waits, trouble):
                return

    async def _put_off(self, config: NotifyConfig, waits: Outgoing, trouble: str) -> bool:
        """After a failure. Whether the next message is to be tried at once: this one is given up."""
        at = self._now()
        self.trouble[config.name] = trouble
        if at - waits.queued_at >= config.give_up * instants.SECOND:
            _log.error("%s: given up %r: %s", config.name, waits.notification.title, trouble)
            await asyncio.to_thread(self._memory.done, waits.seq)
            return True
        pause = wait_after(waits.failures, self._chance)
        _log.warning("%s: not delivered, trying again in %.0f s: %s", config.name, pause, trouble)
        await asyncio.to_thread(self._memory.failed, waits.seq, at + int(pause * instants.SECOND), trouble)
        return False


def wait_after(failures: int, chance: random.Random) -> float:
    """Seconds to wait after a failure that so many came before."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 20)) * chance.uniform(0.5, 1.0)
