"""What runs beside the collector: nothing unless it is told to, all of it until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import Response

from probe.collector.counters.ledger import Ledger
from probe.collector.errands import Errands
from probe.model.config import (
    CollectorConfig,
    Config,
    CounterConfig,
    EmailConfig,
    NtfyConfig,
    SafetyConfig,
    WebhookConfig,
)
from probe.model.errors import ConfigError
from tests.collector.notify.cases import NOW, row
from tests.collector.web import Asked, Reply, Web, serving

if TYPE_CHECKING:
    from probe.collector.store import IncidentRow


class Incidents:
    def __init__(self) -> None:
        self.rows: list[IncidentRow] = []

    def incidents(self, limit: int) -> list[IncidentRow]:
        return self.rows[:limit]


def choose(_: Request) -> Response:
    return Response()


@pytest.fixture
def web() -> Iterator[Web]:
    def reply(asked: Asked) -> Reply:
        if asked.path == "/robots.txt":
            return 404, {}, b""
        return 200, {}, b'{"fans": 5}'

    with serving(reply) as web:
        yield web


def config(tmp_path: Path, web: Web | None) -> Config:
    told: list[WebhookConfig | EmailConfig | NtfyConfig] = []
    if web:
        told.append(NtfyConfig(name="n", url=f"{web.url}/topic", settle=0.0))
    read = [CounterConfig(name="fans", url=f"{web.url}/fans", json="/fans")] if web else []
    return Config(
        safety=SafetyConfig(allow_networks=["127.0.0.0/8"]),
        collector=CollectorConfig(database=str(tmp_path / "db.sqlite3"), notify=told, counter=read),
    )


def test_told_nothing_it_opens_nothing_and_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        errands = Errands(config(tmp_path, None), Incidents(), lambda: NOW, choose)
        running = asyncio.create_task(errands.run())
        done, _ = await asyncio.wait([running], timeout=0.05)
        assert not done
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        errands.close()
        assert (errands.routes, errands.desk) == ([], None)

    asyncio.run(main())
    assert not (tmp_path / "db.sqlite3").exists()


@pytest.mark.loopback
def test_people_are_told_and_counters_are_read(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.collector.counters.polite.SPACING", 0)
    incidents = Incidents()
    incidents.rows = [row()]

    async def main() -> None:
        errands = Errands(config(tmp_path, web), incidents, lambda: NOW, choose)
        running = asyncio.create_task(errands.run())
        while len(web.asked) < 3:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.01)
        ledger = Ledger(str(tmp_path / "db.sqlite3"))
        while ledger.last("fans") is None:  # noqa: ASYNC110 - a database has no event
            await asyncio.sleep(0.01)
        ledger.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        errands.close()
        assert {getattr(route, "path", "") for route in errands.routes} >= {"/counters", "/api/counters"}

    asyncio.run(asyncio.wait_for(main(), 60))
    assert sorted(asked.path for asked in web.asked) == ["/", "/fans", "/robots.txt"]


@pytest.mark.parametrize(
    "collector",
    [
        CollectorConfig(notify=[NtfyConfig(name="n", url="http://a.example/t")]),
        CollectorConfig(counter=[CounterConfig(name="c", url="https://a.example/")]),
    ],
)
def test_a_mistake_is_said_at_the_start(collector: CollectorConfig) -> None:
    with pytest.raises(ConfigError, match=r"^collector\.(notify|counter)\[0\]"):
        Errands(Config(collector=collector), Incidents(), lambda: NOW, choose)
