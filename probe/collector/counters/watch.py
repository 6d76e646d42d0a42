"""Reads each counter at its intervals, for as long as the collector runs."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from probe.collector import instants
from probe.collector.counters import extract
from probe.collector.counters.ledger import Ledger, Page
from probe.collector.counters.numbers import Count
from probe.collector.counters.polite import Guest, origin
from probe.collector.outgoing import Answer
from probe.model.config import CounterConfig
from probe.model.errors import ConfigError, MalformedRecord, StoreError, Unanswered

LONGEST_WAIT = instants.DAY
"""Most time between two attempts on a page that fails; the wait doubles from failure to failure."""
_JITTER = 0.05  # of the interval, so that pages of one server don't all come due at once
_LONGEST = 1000  # characters of a validator
_LONGEST_NAP = 3600.0  # seconds: a clock that is set is noticed within

_log = logging.getLogger(__name__)


def checked(configs: Sequence[CounterConfig]) -> list[CounterConfig]:
    """The counters, if they can be read at all. Raises ConfigError, naming the option."""
    for i, config in enumerate(configs):
        where = f"collector.counter[{i}]"
        if any(config.name == other.name for other in configs[:i]):
            raise ConfigError(f"{where}.name", f"{config.name!r} is the name of another one already")
        try:
            origin(config.url)
        except Unanswered as error:
            raise ConfigError(f"{where}.url", f"{config.url!r} {error.what}") from None
        extract.check(config, where)
    return list(configs)


def source(config: CounterConfig) -> str:
    """What a page's validators belong to: another address or another place in it is another page."""
    return f"{config.url} {config.pattern or config.json}"


class Watch:
    """All counters. Runs in the event loop; what touches the disk runs beside it."""

    def __init__(
        self, configs: Sequence[CounterConfig], ledger: Ledger, guest: Guest, *, now: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        """``now`` in ms; ``sleep`` takes seconds."""
        self._configs = configs
        self._ledger = ledger
        self._guest = guest
        self._now = now
        self._sleep = sleep
        self._chance = chance or random.Random()

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(*(self._watch(config) for config in self._configs))

    async def _watch(self, config: CounterConfig) -> None:
        while True:
            try:
                page = await asyncio.to_thread(self._ledger.page, config.name, source(config))
                # At most an interval, should the clock have been set back.
                wait = min(page.next_at - self._now(), max(int(config.every * instants.SECOND), LONGEST_WAIT))
                if wait > 0:
                    await self._sleep(min(wait / instants.SECOND, _LONGEST_NAP))
                else:
                    await self.read(config, page)
            except StoreError as error:
                _log.warning("%s", error)
                await self._sleep(60.0)

    async def read(self, config: CounterConfig, page: Page) -> None:
        """Read a counter once, and remember what came of it. Raises StoreError."""
        count: Count | None = None
        try:
            answer = await self._guest.fetch(config.url, page)
            count = await self._count(config, answer)
            kept = page if answer.status == 304 else Page()  # it need not repeat them
            page = Page(
                etag=_sendable(answer.headers.get("etag", kept.etag)),
                modified=_sendable(answer.headers.get("last-modified", kept.modified)),
            )
        except (Unanswered, MalformedRecord) as error:
            # Validators go: what can't be read must come whole the next time.
            page = Page(failures=page.failures + 1, trouble=str(error)[:300])
            _log.warning("counter %s: %s", config.name, error)
        at = self._now()
        page = msgspec.structs.replace(page, next_at=at + self._pause(config, page.failures))
        await asyncio.to_thread(self._ledger.put, config.name, source(config), page, at, count)

    async def _count(self, config: CounterConfig, answer: Answer) -> Count | None:
        if answer.status != 304:
            return await extract.count(config, answer.body, answer.headers.get("content-type", ""))
        last = await asyncio.to_thread(self._ledger.last, config.name)
        return Count(last.value, last.step) if last else None

    def _pause(self, config: CounterConfig, failures: int) -> int:
        every = config.every * instants.SECOND
        longest = max(every, LONGEST_WAIT)
        return int(min(longest, every * 2.0 ** min(failures, 30)) * self._chance.uniform(1 - _JITTER, 1 + _JITTER))


def _sendable(validator: str) -> str:
    """What a server may be sent back; nothing, if it is no header of anybody's."""
    return validator if validator.isascii() and validator.isprintable() and len(validator) <= _LONGEST else ""
