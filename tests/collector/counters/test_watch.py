"""Reading at intervals: what is stored, what is put off, and what is refused at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from probe.collector.counters.ledger import Ledger, Page, Reading
from probe.collector.counters.polite import Guest
from probe.collector.counters.watch import LONGEST_WAIT, Watch, checked, source
from probe.collector.outgoing import permit
from probe.model.config import CounterConfig
from probe.model.errors import ConfigError, StoreError
from tests.collector.web import Asked, Reply, Web, serving

NOON = 1_772_366_400_000
pytestmark = pytest.mark.loopback


class Round:
    """A watch over one counter, on a clock that only waiting moves."""

    def __init__(self, path: Path) -> None:
        self.at = NOON
        self.ledger = Ledger(str(path))
        self.reply: Reply = (200, {"etag": '"a"'}, b'{"fans": 12345}')

    def answer(self, asked: Asked) -> Reply:
        return (404, {}, b"") if asked.path == "/robots.txt" else self.reply

    async def sleep(self, seconds: float) -> None:
        self.at += int(seconds * 1000)

    def watch(self, *configs: CounterConfig) -> Watch:
        guest = Guest(self.ledger, permit(["127.0.0.0/8"]), "", now=lambda: self.at, sleep=self.sleep)
        return Watch(configs, self.ledger, guest, now=lambda: self.at, sleep=self.sleep, chance=Random(1))

    def read(self, web: Web, **changes: Any) -> Page:
        config = counter(web, **changes)
        asyncio.run(self.watch(config).read(config, self.ledger.page(config.name, source(config))))
        return self.ledger.page(config.name, source(config))


def counter(web: Web, **changes: Any) -> CounterConfig:
    return CounterConfig(**{"name": "fans", "url": f"{web.url}/fans", "json": "/fans", **changes})


@pytest.fixture
def round_(tmp_path: Path) -> Iterator[Round]:
    one = Round(tmp_path / "findings.sqlite3")
    with closing(one.ledger):
        yield one


def test_a_number_is_read_and_stored_and_the_next_time_is_due(round_: Round) -> None:
    with serving(round_.answer) as web:
        page = round_.read(web)
    assert round_.ledger.readings("fans", 0) == [Reading(round_.at, 12345)]
    assert (page.etag, page.failures, page.trouble) == ('"a"', 0, "")
    assert 0.95 * 900_000 <= page.next_at - round_.at <= 1.05 * 900_000


def test_what_has_not_changed_is_the_same_number_at_a_later_time(round_: Round) -> None:
    with serving(round_.answer) as web:
        round_.read(web)
        round_.reply = (304, {}, b"")
        page = round_.read(web)
    first, second = round_.ledger.readings("fans", 0)
    assert (first.value, second.value) == (12345, 12345)
    assert second.at > first.at
    assert page.etag == '"a"', "a 304 need not repeat it"


@pytest.mark.parametrize("etag", ['"' + "x" * 2000 + '"', '"\u00e9"'])
def test_a_validator_that_can_not_be_sent_back_is_not_kept(round_: Round, etag: str) -> None:
    round_.reply = f"HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: 11\r\n\r\n".encode("latin-1") + b'{"fans": 5}'
    with serving(round_.answer) as web:
        assert round_.read(web).etag == ""
        assert round_.read(web).failures == 0
    assert len(round_.ledger.readings("fans", 0)) == 2


def test_failures_are_told_and_put_off_further_each_time(round_: Round, caplog: pytest.LogCaptureFixture) -> None:
    with serving(round_.answer) as web, caplog.at_level(logging.WARNING):
        round_.read(web)
        round_.reply = (200, {}, b'{"fans": "many"}')
        waits = []
        for _ in range(12):
            page = round_.read(web)
            waits.append((page.next_at - round_.at) / 900_000)
    assert "'many': is no count" in page.trouble
    assert "counter fans: " in caplog.text
    assert (page.failures, page.etag) == (12, "")
    assert waits[:3] == pytest.approx([2, 4, 8], rel=0.06)
    assert waits[-1] * 900_000 <= 1.05 * LONGEST_WAIT
    assert len(round_.ledger.readings("fans", 0)) == 1
    with serving(round_.answer) as web:
        round_.reply = (200, {}, b'{"fans": 7}')
        assert round_.read(web).failures == 0


def test_it_runs_at_its_intervals_until_it_is_cancelled(round_: Round) -> None:
    async def main(web: Web) -> None:
        running = asyncio.create_task(round_.watch(counter(web, every=3600.0)).run())
        while len(round_.ledger.readings("fans", 0)) < 4:  # noqa: ASYNC110 - a database has no event
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with serving(round_.answer) as web:
        asyncio.run(asyncio.wait_for(main(web), 60))
    times = [reading.at for reading in round_.ledger.readings("fans", 0)][:4]
    assert all(0.9 * 3600 <= (b - a) / 1000 <= 1.1 * 3600 + 61 for a, b in pairwise(times))


def test_a_store_that_fails_is_tried_again(round_: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    page, troubles = round_.ledger.page, iter([StoreError("disk I/O error")])

    def moody(name: str, where: str) -> Page:
        for trouble in troubles:
            raise trouble
        return page(name, where)

    async def main(web: Web) -> None:
        running = asyncio.create_task(round_.watch(counter(web)).run())
        while not round_.ledger.readings("fans", 0):  # noqa: ASYNC110 - a database has no event
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    monkeypatch.setattr(round_.ledger, "page", moody)
    with serving(round_.answer) as web:
        asyncio.run(asyncio.wait_for(main(web), 60))
    assert round_.ledger.last("fans") is not None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"url": "a.example"}, r"counter\[0\]\.url"),
        ({"json": ""}, r"counter\[0\]"),
        ({"json": "x"}, r"counter\[0\]\.json"),
    ],
)
def test_what_can_not_be_read_is_refused_at_the_start(changes: dict[str, str], where: str) -> None:
    fields: dict[str, Any] = {"name": "a", "url": "https://a.example/", "json": "/a", **changes}
    config = CounterConfig(**fields)
    with pytest.raises(ConfigError, match=rf"^collector\.{where}: "):
        checked([config])


def test_two_of_one_name_would_share_their_readings() -> None:
    one = CounterConfig(name="a", url="https://a.example/", json="/a")
    assert checked([one]) == [one]
    with pytest.raises(ConfigError, match=r"counter\[1\]\.name: 'a' is the name"):
        checked([one, one])
