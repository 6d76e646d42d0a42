"""Contract 3 against a real Mosquitto: what is published, what is sent again, and what lets a finding go."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from probe.agent.backoff import Backoff
from probe.agent.identity import Identity
from probe.agent.publisher import Publisher
from probe.agent.spool import Spool
from probe.agent.waiting import Waiting
from probe.model import canonical, feed
from probe.model.config import MqttConfig
from probe.model.finding import Line
from probe.model.heartbeat import Heartbeat
from tests.agent.conftest import PROBE, Broker, FakeCollector, eventually, make_finding, until

pytestmark = pytest.mark.loopback


def info() -> feed.Info:
    return feed.Info(
        probe=PROBE, software="colibri test", line=Line(), measurements={}, finding_schema="f/1", spool_depth=0
    )


@asynccontextmanager
async def publishing(
    spool: Spool, port: int, waiting: Waiting | None = None, **settings: Any
) -> AsyncIterator[Publisher]:
    defaults: dict[str, Any] = {"resend_after": 30.0, "keepalive": 5}
    config = MqttConfig(host="127.0.0.1", port=port, **defaults | settings)
    publisher = Publisher(config, PROBE, spool, info, backoff=Backoff(Random(1), first=0.05, most=0.2), waiting=waiting)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        publisher.stop()
        await asyncio.wait_for(task, 10)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3", 1 << 24)


def run(scene: Callable[[], Coroutine[Any, Any, None]], spool: Spool) -> None:
    asyncio.run(scene())
    spool.close()


def test_a_finding_is_published_whole_and_leaves_the_spool_when_it_is_stored(
    broker: Broker, collector: FakeCollector, spool: Spool
) -> None:
    finding = make_finding(1, "interfered")
    packets = gzip.compress(b"pcapng" * 100, mtime=0)

    async def scene() -> None:
        async with publishing(spool, broker.port) as publisher:
            publisher.submit(finding, 0.0, packets)
            assert spool.depth == 1
            assert await publisher.drained(10)

    run(scene, spool)
    assert collector.stored() == {finding.id: msgspec.json.encode(finding)}
    topics = [topic for topic, _, _ in collector.topics]
    assert topics.index(feed.evidence(PROBE, finding.id)) < topics.index(feed.finding(PROBE, "dns_injection"))
    assert collector.on(feed.evidence(PROBE, finding.id)) == [packets]
    sent = collector.properties[feed.finding(PROBE, "dns_injection")]
    assert sent.ContentType == "application/json"
    assert sent.UserProperty == [("schema", "colibri.finding/1")]
    assert 0 < sent.MessageExpiryInterval <= 7 * 86400


def test_birth_states_and_a_clean_goodbye_are_retained(broker: Broker, collector: FakeCollector, spool: Spool) -> None:
    async def scene() -> None:
        async with publishing(spool, broker.port) as publisher:
            publisher.submit(make_finding(1, "clean", "http://a/?+#"), 0.0)
            publisher.submit(make_finding(2, "down", "http://a/?+#"), 0.0)
            assert await publisher.drained(10)

    run(scene, spool)
    eventually(lambda: collector.on(feed.availability(PROBE)) == [b"online", b"offline"], what="goodbye")
    late = FakeCollectorView(broker.port)
    eventually(lambda: len(late.seen) == 3, what="retained messages")
    late.close()
    assert late.seen[feed.availability(PROBE)] == b"offline"
    assert msgspec.json.decode(late.seen[feed.info(PROBE)], type=feed.Info) == info()
    state = msgspec.json.decode(late.seen[feed.state(PROBE, "dns_injection", "http://a/?+#")], type=feed.State)
    assert (state.verdict, state.target.input) == ("down", "http://a/?+#")


class FakeCollectorView:
    """What a late subscriber is told: the retained messages. It speaks MQTT 3.1.1."""

    def __init__(self, port: int) -> None:
        self.seen: dict[str, bytes] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, "late")
        self._client.on_connect = lambda client, *_: client.subscribe("colibri/v1/#")
        self._client.on_message = lambda _c, _u, m: self.seen.__setitem__(m.topic, bytes(m.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_unanswered_findings_are_sent_again_and_do_not_hold_up_others(
    broker: Broker, collector: FakeCollector, spool: Spool
) -> None:
    collector.answers = False

    async def scene() -> None:
        async with publishing(spool, broker.port, resend_after=0.3, window=2) as publisher:
            for number in range(6):
                publisher.submit(make_finding(number), 0.0)
            topic = feed.finding(PROBE, "dns_injection")
            await until(lambda: len({msgspec.json.decode(b)["id"] for b in collector.on(topic)}) == 6)
            assert spool.depth == 6
            assert len(collector.on(topic)) <= 6 + 2
            await until(lambda: len(collector.on(topic)) >= 8)
            collector.answers = True
            assert await publisher.drained(10)

    run(scene, spool)
    assert len(collector.stored()) == 6


def test_one_word_of_the_collector_may_free_many(broker: Broker, collector: FakeCollector, spool: Spool) -> None:
    collector.answers = False
    findings = [make_finding(number) for number in range(5)]

    async def scene() -> None:
        async with publishing(spool, broker.port) as publisher:
            for finding in findings:
                publisher.submit(finding, 0.0)
            await until(lambda: len(collector.on(feed.finding(PROBE, "dns_injection"))) == 5)
            word = feed.Stored(ids=[finding.id for finding in findings[:4]])
            collector.say(feed.stored(PROBE), msgspec.json.encode(word))
            await until(lambda: spool.depth == 1)
            assert spool.pending(10, 1e9)[0].id == findings[4].id

    run(scene, spool)


def test_a_puback_is_no_safety_unless_the_configuration_says_so(
    broker: Broker, collector: FakeCollector, spool: Spool
) -> None:
    collector.answers = False

    async def scene() -> None:
        async with publishing(spool, broker.port) as publisher:
            publisher.submit(make_finding(1), 0.0)
            await until(lambda: collector.on(feed.finding(PROBE, "dns_injection")))
            assert not await publisher.drained(0.3)
        async with publishing(spool, broker.port, acknowledged_by="broker") as publisher:
            assert await publisher.drained(10)

    run(scene, spool)


def test_a_refused_puback_lets_nothing_go(tmp_path: Path, spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "acl").write_text("topic readwrite colibri/v1/+/availability\ntopic read #\n")
    broker = Broker(tmp_path, listener=f"allow_anonymous true\nacl_file {tmp_path}/acl\n")
    broker.start()

    async def scene() -> None:
        async with publishing(spool, broker.port, acknowledged_by="broker") as publisher:
            publisher.submit(make_finding(1), 0.0)
            await until(lambda: "refused a message: Not authorized" in caplog.text)
            assert not await publisher.drained(0.2)

    run(scene, spool)
    broker.stop()


def test_refused_by_the_collector_it_leaves_the_spool_and_the_reason_is_logged(
    broker: Broker, collector: FakeCollector, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers = False
    finding = make_finding(1)

    async def scene() -> None:
        async with publishing(spool, broker.port) as publisher:
            publisher.submit(finding, 0.0)
            await until(lambda: collector.on(feed.finding(PROBE, "dns_injection")))
            word = feed.Stored(ids=[finding.id], refused={finding.id: "bad signature"})
            collector.say(feed.stored(PROBE), b"{not json")
            collector.say(feed.stored(PROBE), msgspec.json.encode(word))
            assert await publisher.drained(10)

    run(scene, spool)
    assert f"refused {finding.id}: bad signature" in caplog.text
    assert "'stored' can't be read" in caplog.text


def test_it_survives_a_broker_that_goes_and_comes_back(broker: Broker, collector: FakeCollector, spool: Spool) -> None:
    async def scene() -> None:
        # The collector may come back after us: what it missed is sent again.
        async with publishing(spool, broker.port, resend_after=0.5) as publisher:
            publisher.submit(make_finding(1), 0.0)
            assert await publisher.drained(10)
            await asyncio.to_thread(broker.stop)
            await until(lambda: not publisher.connected)
            for number in range(2, 5):
                publisher.submit(make_finding(number), 0.0)
            await until(lambda: "refused" in publisher.trouble)
            await asyncio.to_thread(broker.start)
            assert await publisher.drained(15)

    run(scene, spool)
    assert len(collector.stored()) == 4


def test_a_lost_connection_leaves_the_last_will(broker: Broker, collector: FakeCollector, spool: Spool) -> None:
    async def scene() -> None:
        publisher = Publisher(
            MqttConfig(host="127.0.0.1", port=broker.port), PROBE, spool, info, backoff=Backoff(Random(1))
        )
        task = asyncio.create_task(publisher.run())
        await until(lambda: collector.on(feed.availability(PROBE)) == [b"online"])
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: collector.on(feed.availability(PROBE)) == [b"online", b"offline"])

    run(scene, spool)


def test_a_finding_too_large_for_the_broker_stays_and_the_others_pass(
    tmp_path: Path, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path, extra="max_packet_size 20000")
    broker.start()
    large = make_finding(1, "interfered", details={"x": "y" * 30_000})

    async def scene() -> None:
        async with publishing(spool, broker.port, acknowledged_by="broker", window=1) as publisher:
            publisher.submit(large, 0.0)
            publisher.submit(make_finding(2), 0.0, b"z" * 30_000)
            await until(lambda: spool.depth == 1)
            publisher.submit(make_finding(3), 0.0)
            await until(lambda: spool.depth == 1)

    run(scene, spool)
    broker.stop()
    assert caplog.text.count(f"finding {large.id} is larger than the broker takes") == 1


def test_without_a_broker_findings_wait(spool: Spool) -> None:
    beats: list[int] = []

    async def scene() -> None:
        publisher = Publisher(
            MqttConfig(), PROBE, spool, info, backoff=Backoff(Random(1)), beat=lambda: beats.append(1)
        )
        task = asyncio.create_task(publisher.run())
        publisher.submit(make_finding(1), 0.0)
        assert not await publisher.drained(0.1)
        publisher.stop()
        await asyncio.wait_for(task, 5)
        assert spool.depth == 1
        assert beats

    run(scene, spool)


def heartbeat(number: int) -> Heartbeat:
    return Heartbeat(
        id=f"01a2011d-ad0e-7954-82f7-{number:012x}", probe=PROBE, software="colibri test", run="0" * 16,
        sequence=number, at=f"2026-11-22T02:{number:02}:00.000Z", clock="synchronised", uptime_s=60 * number,
        measured=1, failed=0, spool_depth=0, link="up", connected=False,
    )  # fmt: skip


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    """Twelve heartbeats that were made while the line was cut."""
    one = Waiting(tmp_path / "heartbeats.jsonl", Identity(tmp_path, PROBE).sign)
    for number in range(12):
        one.add(heartbeat(number), float(number))
    return one


def sequence(bodies: list[bytes]) -> list[int]:
    return [msgspec.json.decode(body)["sequence"] for body in bodies]


def test_heartbeats_of_a_cut_line_are_delivered_late_in_order_and_signed_beside_the_findings(
    broker: Broker, collector: FakeCollector, spool: Spool, waiting: Waiting
) -> None:
    topic = feed.heartbeat(PROBE)

    async def scene() -> None:
        async with publishing(spool, broker.port, waiting, window=1) as publisher:
            publisher.submit(make_finding(1), 0.0)
            await until(lambda: not len(waiting))
            assert await publisher.drained(10)
            waiting.add(heartbeat(12), 0.0)
            publisher.wake()
            await until(lambda: not len(waiting))

    run(scene, spool)
    bodies = collector.on(topic)
    assert sequence(bodies) == list(range(13))
    assert all(canonical.verify(msgspec.json.decode(body)) for body in bodies)
    assert collector.properties[topic].UserProperty == [("schema", "colibri.heartbeat/1")]


def test_heartbeats_that_nobody_stored_are_sent_again_and_never_too_many_at_once(
    broker: Broker, collector: FakeCollector, spool: Spool, waiting: Waiting
) -> None:
    collector.answers = False
    topic = feed.heartbeat(PROBE)

    async def scene() -> None:
        async with publishing(spool, broker.port, waiting, resend_after=0.3) as publisher:
            publisher.submit(make_finding(1), 0.0)
            await until(lambda: len(collector.on(topic)) >= 7)
            assert len(waiting) == 12
            assert set(sequence(collector.on(topic))) == set(range(5)), "the oldest, until they are stored"
            collector.answers = True
            await until(lambda: not len(waiting))
            assert await publisher.drained(10)

    run(scene, spool)
    assert set(sequence(collector.on(topic))) == set(range(12))
