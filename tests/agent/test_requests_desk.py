"""Lists, requests and stops over a real broker, to a real daemon's session. (Forgeries: test_requests_forged.py.)"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.agent.asked import read
from probe.agent.findings import instant
from probe.agent.lists_repository import public_text
from probe.agent.session import Session
from probe.model import feed
from probe.model.config import Config, MqttConfig, RequestsConfig, TargetsConfig
from probe.model.request import ALL, LISTS, answers, topic
from tests.agent.conftest import PROBE, Broker, FakeCollector, until
from tests.agent.fake_daemon import make_runner
from tests.agent.forgery import Signers, bundle_bytes, request
from tests.agent.test_session import config, targets

pytestmark = pytest.mark.loopback

SIGNERS = Signers()


def settings(folder: Path, port: int, root: str = "") -> Config:
    return msgspec.structs.replace(
        config(folder, mqtt=MqttConfig(host="127.0.0.1", port=port)),
        requests=RequestsConfig(signed_by=[public_text(SIGNERS.asker)]),
        targets=TargetsConfig(root=root),
    )


def now(**changes: Any) -> bytes:
    at = time.time()
    plain = {"probes": [PROBE], "sequence": int(at * 1000), "issued_at": instant(at), "not_after": instant(at + 60)}
    return request(SIGNERS, **{**plain, **changes})


def test_a_stop_for_all_reaches_a_probe_at_once_and_one_that_comes_later(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    stop = now(command="stop", probes=[ALL], measurement="", options={})

    async def scene() -> None:
        async with Session(settings(tmp_path, broker.port), targets("hangs"), make_runner) as session:
            await until(lambda: collector.on(feed.availability(PROBE)))
            await until(lambda: session._planner.running)  # something is under way …
            began = time.monotonic()
            collector._client.publish(topic(ALL, "stop"), stop, qos=1, retain=True)
            await until(lambda: session._pause.on)
            await until(lambda: not session._planner.running)  # … and is broken off
            assert time.monotonic() - began < 5
            await until(lambda: collector.on(answers(PROBE, "stop")))
        async with Session(settings(tmp_path, broker.port), targets("a"), make_runner) as session:
            assert session._pause.on  # over a restart
            await until(lambda: session._publisher.connected)
            await asyncio.sleep(0.3)
            assert session.attempts == {}
        (tmp_path / "state/paused.json").unlink()  # another probe, that was off meanwhile
        (tmp_path / "state/requests.json").unlink()
        async with Session(settings(tmp_path, broker.port), targets("a"), make_runner) as session:
            session._desk._book._synchronised = lambda: True  # whatever this machine's clock
            await until(lambda: session._pause.on)
            collector.say(topic(PROBE, "resume"), now(command="resume", measurement="", options={}))
            await until(lambda: not session._pause.on)

    asyncio.run(asyncio.wait_for(scene(), 60))
    log = [(entry.what, entry.outcome, entry.subject) for entry in read(tmp_path / "state") if entry.what == "request"]
    assert log.count(("request", "done", "stop")) == 2


def test_a_request_becomes_a_finding_and_an_answer(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    wired = settings(tmp_path, broker.port)

    async def scene() -> None:
        async with Session(wired, [], make_runner) as session:
            session._desk._book._synchronised = lambda: True  # whatever this machine's clock
            await until(lambda: collector.on(feed.availability(PROBE)))  # said after it has subscribed
            collector.say(topic(PROBE, "measure"), now())
            await until(lambda: collector.on(answers(PROBE, "measure")))
            (said,) = collector.on(answers(PROBE, "measure"))
            answer = msgspec.json.decode(said)
            assert answer["status"] == "done"
            await until(lambda: answer["finding"] in collector.stored())

    asyncio.run(asyncio.wait_for(scene(), 60))
    assert [entry.outcome for entry in read(tmp_path / "state")] == ["accepted", "done"]


def test_a_list_that_comes_has_the_settings_read_again(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    repository = SIGNERS.repository(tmp_path / "offline", time.time())
    bundle = bundle_bytes(SIGNERS.publish(repository))
    wired = settings(tmp_path, broker.port, str(repository.root))
    reloads: list[int] = []

    async def scene() -> None:
        async with Session(wired, [], make_runner, reload=lambda: reloads.append(1)):
            await until(lambda: collector.on(feed.availability(PROBE)))  # said after it has subscribed
            collector._client.publish(LISTS, b"nonsense", qos=1)
            await until(lambda: len(read(tmp_path / "state")) == 1)
            collector._client.publish(LISTS, bundle, qos=1, retain=True)
            await until(lambda: reloads)

    asyncio.run(asyncio.wait_for(scene(), 60))
    assert [(entry.what, entry.outcome) for entry in read(tmp_path / "state")] == [
        ("list", "refused"), ("list", "accepted"),
    ]  # fmt: skip
    assert reloads == [1]
