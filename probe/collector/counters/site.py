"""The counters' page and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from probe.collector import instants
from probe.collector.counters import views
from probe.collector.counters.ledger import Ledger, Reading
from probe.collector.counters.suspicion import HISTORY, Flag, flags
from probe.collector.counters.views import CounterView
from probe.collector.counters.watch import source
from probe.collector.languages.language import Code, Language, mark
from probe.collector.pages import Pages
from probe.model.config import CounterConfig

JUDGED = 14 * instants.MINUTE
"""Readings closer together than this are not judged one by one: it would cost much and say no more."""
KEPT = 30 * instants.DAY
"""How far back the readings of one counter are given."""


class CounterSite:
    """Plain functions: Starlette runs them beside the event loop."""

    def __init__(
        self, configs: Sequence[CounterConfig], ledger: Ledger, pages: Mapping[Code, Pages], now: Callable[[], int]
    ) -> None:
        """``now`` in ms."""
        self._configs = configs
        self._ledger = ledger
        self._pages = pages
        self._now = now
        self._judged: dict[str, tuple[int, list[Flag]]] = {}

    @property
    def routes(self) -> list[Route]:
        """To be mounted beside the site's own."""
        return [
            *(Route(f"/{code}/counters", partial(self.page, code)) for code in self._pages),
            Route("/api/counters", self.api, name="counters"),
            Route("/api/counters/{name}", self.api_one, name="counter"),
        ]

    def page(self, code: Code, _: Request) -> Response:
        """All counters, for people."""
        pages, width, height = self._pages[code], views.WIDTH, views.HEIGHT
        shown = self.shown(pages.language)
        return HTMLResponse(pages.render("counters.html", "/counters", counters=shown, width=width, height=height))

    def shown(self, language: Language) -> list[CounterView]:
        """All counters in words. Raises StoreError."""
        return [
            views.view(config, self._shown(readings), found, failing, language)
            for config, readings, found, failing in map(self._read, self._configs)
        ]

    def api(self, _: Request) -> Response:
        """All counters, for programs."""
        counters = [views.json(*self._read(config)) for config in self._configs]
        return _json({"schema": views.SCHEMA, "counters": counters})

    def api_one(self, request: Request) -> Response:
        """One counter with its readings."""
        name = request.path_params["name"]
        config = next((one for one in self._configs if one.name == name), None)
        if config is None:
            raise HTTPException(404, mark("No counter has this name."))
        _, readings, found, failing = self._read(config)
        listed = [
            {"at": instants.to_text(r.at), "value": r.value, "step": r.step}
            for r in self._ledger.readings(name, self._now() - KEPT)
        ]
        return _json({"schema": views.SCHEMA, **views.json(config, readings, found, failing), "readings": listed})

    def _read(self, config: CounterConfig) -> tuple[CounterConfig, list[Reading], list[Flag], bool]:
        readings = self._ledger.readings(config.name, self._now() - views.SHOWN - HISTORY)
        failing = self._ledger.page(config.name, source(config)).failures > 0
        return config, readings, self._flags(config.name, readings), failing

    def _flags(self, name: str, readings: list[Reading]) -> list[Flag]:
        last = readings[-1].at if readings else 0
        at, found = self._judged.get(name, (-1, []))
        if at != last:
            found = flags(spaced(readings, JUDGED), self._now() - views.SHOWN)
            self._judged[name] = (last, found)
        return found

    def _shown(self, readings: list[Reading]) -> list[Reading]:
        since = self._now() - views.SHOWN
        return [reading for reading in readings if reading.at >= since]


def spaced(readings: Sequence[Reading], least: int) -> list[Reading]:
    """Those that lie at least so many ms apart, from the first on."""
    found: list[Reading] = []
    for reading in readings:
        if not found or reading.at - found[-1].at >= least:
            found.append(reading)
    return found


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
