"""What the collector does beside collecting, if it is told to: notify people of incidents, and read public counters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from probe.collector.counters.ledger import Ledger
from probe.collector.counters.polite import Guest
from probe.collector.counters.site import CounterSite
from probe.collector.counters.watch import Watch, checked
from probe.collector.languages.language import CODES, load
from probe.collector.notify.desk import Desk, Incidents
from probe.collector.notify.memory import Memory
from probe.collector.notify.setup import subscriptions
from probe.collector.outgoing import permit
from probe.collector.pages import Pages
from probe.model.config import Config


class Errands:
    """Opened after the store (whose file they share), run in the event loop, closed at the end."""

    def __init__(
        self, config: Config, reader: Incidents, now: Callable[[], int], choose: Callable[[Request], Response]
    ) -> None:
        """``now`` in ms; ``choose`` leads to an address with a language. Raises ConfigError, StoreError."""
        collector = config.collector
        # Both before anything is opened: what is wrong is said, and nothing is left behind.
        everyone, counters = subscriptions(collector.notify), checked(collector.counter)
        self.desk: Desk | None = None
        self.routes: list[BaseRoute] = []
        self.counters: CounterSite | None = None
        self._watch: Watch | None = None
        with contextlib.ExitStack() as stack:
            if everyone:
                memory = Memory(collector.database)
                stack.callback(memory.close)
                self.desk = Desk(everyone, memory, reader, site=collector.site, now=now)
            if counters:
                ledger = Ledger(collector.database)
                stack.callback(ledger.close)
                guest = Guest(ledger, permit(config.safety.allow_networks), collector.site, now=now)
                self._watch = Watch(counters, ledger, guest, now=now)
                pages = {code: Pages(load(code), counting=True) for code in CODES}
                self.counters = CounterSite(counters, ledger, pages, now)
                self.routes = [*self.counters.routes, Route("/counters", choose)]
            self._stack = stack.pop_all()

    async def run(self) -> None:
        """Until cancelled, whether there is something to do or not."""
        running = [one.run() for one in (self.desk, self._watch) if one is not None]
        await asyncio.gather(*running, asyncio.Event().wait())

    def close(self) -> None:
        """Let go of the files."""
        self._stack.close()
