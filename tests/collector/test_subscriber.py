"""The subscriber with a real broker: commit, acknowledgement and answer survive every kind of death."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from probe.collector.ingest import judge_message
from probe.collector.keyring import Keyring
from probe.collector.public_feed import PublicFeed
from probe.collector.sqlite_reader import SqliteReader
from probe.collector.sqlite_store import SqliteStore
from probe.collector.subscriber import LONGEST_WAIT, Subscriber, answers, backoff, new_findings, wall_clock
from probe.collector.verdicts import Judged, Outcome, Rejected
from probe.model import feed
from probe.model.config import Config
from probe.model.errors import StoreError
from probe.model.finding import Finding, Line

if TYPE_CHECKING:
    from tests.collector.conftest import Broker, FakeProbe, Process, Uplink

Probes = Callable[..., "FakeProbe"]
Until = Callable[..., None]

SERVE = """
import os, signal, sys
import msgspec
from probe.collector.sqlite_store import SqliteStore
from probe.collector.subscriber import Subscriber
from probe.model.config import Config

config = msgspec.json.decode(sys.argv[1], type=Config)
dies_after = int(sys.argv[2])

class Mortal(SqliteStore):
    findings = 0
    def commit(self, batch, *, more=False):
        outcomes = super().commit(batch, more=more)
        self.findings += sum(o.answer for o in outcomes)
        if dies_after and self.findings >= dies_after:
            os.kill(os.getpid(), signal.SIGKILL)  # committed; neither acknowledged nor answered
        return outcomes

subscriber = Subscriber(config, Mortal(config.collector.database))
signal.signal(signal.SIGTERM, lambda *_: subscriber.stop())
subscriber.run()
"""


@pytest.fixture
def subscriber(settings: Config, until: Until) -> Iterator[Subscriber]:
    store = SqliteStore(settings.collector.database)
    subscriber = Subscriber(settings, store)
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    until(lambda: not subscriber.trouble, "subscribed")
    yield subscriber
    subscriber.stop()
    thread.join(20)
    store.close()
    assert not thread.is_alive()


@pytest.fixture
def reader(settings: Config, subscriber: Subscriber) -> Iterator[SqliteReader]:
    reader = SqliteReader(settings.collector.database)
    yield reader
    reader.close()


def rows(config: Config) -> list[str]:
    with closing(sqlite3.connect(config.collector.database)) as db:
        try:
            return [finding_id for (finding_id,) in db.execute("SELECT id FROM findings")]
        except sqlite3.OperationalError:  # not made yet
            return []


@pytest.mark.loopback
def test_stored_is_said_once_committed_and_again_for_a_resend(
    uplink: Uplink, subscriber: Subscriber, reader: SqliteReader, probes: Probes, until: Until
) -> None:
    findings = [probes(f"p-{n}").finding() for n in range(3)]
    uplink.send(*findings)
    until(lambda: sorted(uplink.stored) == sorted(f.id for f in findings), "all three answered")
    assert all(reader.finding(finding_id) for finding_id in uplink.stored)
    uplink.send(findings[0])
    until(lambda: uplink.stored.count(findings[0].id) == 2, "answered again")
    assert len(reader.findings(10)) == 3
    assert uplink.refused == {}


@pytest.mark.loopback
def test_a_refused_finding_is_answered_with_the_reason_so_that_it_blocks_nothing(
    uplink: Uplink, subscriber: Subscriber, probes: Probes, until: Until
) -> None:
    probe = probes()
    bad = probe.finding(started_at="1970-01-01T00:00:10.000Z")
    uplink.send(bad, probe.finding())
    until(lambda: len(uplink.stored) == 2, "both answered")
    assert uplink.refused == {bad.id: "bad_clock"}


@pytest.mark.loopback
def test_nothing_that_arrives_stops_the_work(
    uplink: Uplink, subscriber: Subscriber, reader: SqliteReader, probes: Probes, until: Until
) -> None:
    topic = feed.finding("p-one", "dns_injection")
    for payload in (b"", b"{", b"\xff" * 100, b"x" * 10_000_000, b"[" * 50_000, b'{"id": 1}'):
        uplink.publish(topic, payload)
    uplink.publish(feed.evidence("p-one", "no-id"), b"")
    finding = probes().finding()
    uplink.send(finding)
    until(lambda: finding.id in uplink.stored, "the good one is stored")
    counters = reader.counters()
    assert counters["received"] == 8
    assert sum(n for name, n in counters.items() if name.startswith("rejected.")) == 7
    assert counters["rejected.too_large"] == 1
    assert len(reader.rejects(20)) == 7


@pytest.mark.loopback
def test_two_keys_in_one_batch(
    uplink: Uplink, subscriber: Subscriber, reader: SqliteReader, probes: Probes, until: Until
) -> None:
    owner, thief = probes(seed=1).finding(), probes(seed=2).finding()
    uplink.send(owner, thief)
    until(lambda: len(uplink.stored) == 2, "both answered")
    assert uplink.refused == {thief.id: "other_key"}
    assert [row.id for row in reader.findings(5)] == [owner.id]


@pytest.mark.loopback
def test_a_broker_that_restarts_is_found_again(
    broker: Broker, uplink: Uplink, subscriber: Subscriber, probes: Probes, until: Until
) -> None:
    broker.stop(hard=True)
    until(lambda: subscriber.trouble, "the loss is noticed and named")
    broker.start()
    until(lambda: not subscriber.trouble, "reconnected")
    finding = probes().finding()
    until(uplink.connected, "fake probes are back")
    uplink.send(finding)
    until(lambda: finding.id in uplink.stored, "stored after the restart")


@pytest.mark.loopback
def test_a_full_disk_acknowledges_nothing_and_recovers_by_itself(
    uplink: Uplink, settings: Config, subscriber: Subscriber, reader: SqliteReader, probes: Probes, until: Until
) -> None:
    with closing(sqlite3.connect(settings.collector.database, isolation_level=None)) as saboteur:
        saboteur.execute("CREATE TRIGGER full BEFORE INSERT ON findings BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        finding = probes().finding()
        uplink.send(finding)
        until(lambda: "disk full" in subscriber.trouble, "the trouble is named")
        assert uplink.stored == []
        saboteur.execute("DROP TRIGGER full")
    until(lambda: uplink.stored == [finding.id], "the broker delivered it again")
    assert reader.counters()["stored"] == 1


@pytest.mark.loopback
def test_a_store_that_can_not_be_read_is_waited_for(
    uplink: Uplink, settings: Config, probes: Probes, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(settings.collector.database)
    subscriber, keys = Subscriber(settings, store), store.pinned_keys

    def away() -> dict[str, str]:
        raise StoreError("the store is away")

    monkeypatch.setattr(store, "pinned_keys", away)
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    try:
        until(lambda: subscriber.trouble == "the store is away", "the trouble is named")
        monkeypatch.setattr(store, "pinned_keys", keys)
        until(lambda: not subscriber.trouble, "connected")
        finding = probes().finding()
        uplink.send(finding)
        until(lambda: uplink.stored == [finding.id], "stored")
    finally:
        subscriber.stop()
        thread.join(20)
        store.close()


@pytest.mark.loopback
def test_killed_between_commit_and_acknowledgement_each_finding_is_stored_once(
    uplink: Uplink, settings: Config, processes: Callable[..., Process], probes: Probes, until: Until
) -> None:
    config = msgspec.json.encode(settings).decode()
    probe = probes()
    findings: dict[str, Finding] = {}

    def send_unanswered() -> list[str]:
        """As a probe does: whatever was not answered is sent again."""
        missing = sorted(set(findings) - set(uplink.stored))
        uplink.send(*(findings[finding_id] for finding_id in missing))
        return missing

    for _ in range(3):
        findings |= {finding.id: finding for finding in (probe.finding() for _ in range(10))}
        mortal = processes(SERVE, config, "5")

        def died(process: Process = mortal) -> bool:
            send_unanswered()
            threading.Event().wait(0.1)
            return process.popen.poll() is not None

        until(died, "it is killed after a commit")
        assert mortal.popen.returncode == -signal.SIGKILL, mortal.wait()
    assert uplink.stored == [], "never acknowledged, never answered"
    committed = set(rows(settings))
    assert committed, "but committed"

    survivor = processes(SERVE, config, "0")
    until(lambda: not send_unanswered() or threading.Event().wait(0.2), "all are answered in the end")
    assert set(uplink.stored) == set(findings)
    assert sorted(rows(settings)) == sorted(findings)
    assert survivor.stop() == (0, "")


@pytest.mark.loopback
def test_sigterm_stores_and_answers_what_has_arrived(
    uplink: Uplink, settings: Config, processes: Callable[..., Process], probes: Probes, until: Until
) -> None:
    process = processes(SERVE, msgspec.json.encode(settings).decode(), "0")
    first = probes().finding()

    def answered() -> bool:
        uplink.send(first)
        return bool(uplink.stored)

    until(answered, "serving")
    assert process.stop() == (0, "")
    assert rows(settings) == [first.id]


@pytest.mark.long
@pytest.mark.loopback
@pytest.mark.timeout(300)
def test_random_kills_of_collector_and_broker_lose_and_double_nothing(
    broker: Broker, uplink: Uplink, settings: Config, processes: Callable[..., Process], probes: Probes, until: Until
) -> None:
    random = Random(os.environ.get("COLIBRI_SEED", "46"))
    config = msgspec.json.encode(settings).decode()
    devices = [probes(f"p-{n}") for n in range(10)]
    findings = {}
    collector = processes(SERVE, config, "0")
    for turn in range(30):
        for device in devices:
            for _ in range(20):
                finding = device.finding(random.choice(["clean", "interfered"]))
                findings[finding.id] = finding
        answered = set(uplink.stored)
        uplink.send(*(f for i, f in findings.items() if i not in answered))
        threading.Event().wait(random.uniform(0.0, 0.6))
        if turn % 5 == 4:
            broker.stop(hard=True)
            broker.start()
            until(uplink.connected, "fake probes are back")
        else:
            collector.stop(signal.SIGKILL)
            collector = processes(SERVE, config, "0")

    def all_answered() -> bool:
        missing = [f for i, f in findings.items() if i not in set(uplink.stored)]
        uplink.send(*missing[:200])
        threading.Event().wait(0.3)
        return not missing

    until(all_answered, "every finding is answered", seconds=120)
    assert sorted(rows(settings)) == sorted(findings)
    assert collector.stop()[0] == 0


@pytest.fixture
def stocked(settings: Config, probes: Probes) -> Iterator[SqliteStore]:
    """A store in which two probes of one operator, and a single one of another, have measured just now."""
    store = SqliteStore(settings.collector.database)
    lone = Line("Lone Net", 64509, "TN", "fixed")
    keyring = Keyring({}, {})
    for probe in (probes("p-one"), probes("p-two"), probes("p-alone", lone)):
        finding, now = probe.finding(at=wall_clock()), wall_clock()
        topic, payload = feed.finding(probe.name, finding.measurement), msgspec.json.encode(finding)
        store.commit([Judged(topic, payload, now, judge_message(topic, payload, now, keyring))])
    yield store
    store.close()


@pytest.mark.loopback
def test_what_is_public_waits_at_the_broker_for_whoever_comes(
    settings: Config, broker: Broker, stocked: SqliteStore, until: Until
) -> None:
    reader = SqliteReader(settings.collector.database)
    subscriber = Subscriber(settings, stocked, public=PublicFeed(reader, [], wall_clock))
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    heard: list[mqtt.MQTTMessage] = []
    late = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    late.on_connect = lambda client, *_: client.subscribe(f"{feed.ROOT}/public/#", qos=1)
    late.on_message = lambda _client, _data, message: heard.append(message)
    try:
        until(lambda: not subscriber.trouble, "subscribed")
        late.connect("127.0.0.1", broker.port)
        late.loop_start()
        until(lambda: heard, "the public state came")
    finally:
        late.disconnect()
        late.loop_stop()
        subscriber.stop()
        thread.join(20)
        reader.close()
    assert {message.topic for message in heard} == {feed.public_state("MA", "AS64501", "news.example")}
    state = msgspec.json.decode(heard[-1].payload, type=feed.PublicState)
    assert (state.operator, state.verdicts[0].probes) == ("Atlas Telecom", 2)
    properties: Any = heard[-1].properties
    assert properties.UserProperty == [("schema", "colibri.public.state/1")]
    assert 86000 < properties.MessageExpiryInterval <= 86400


def test_new_is_what_was_stored_for_the_first_time(probes: Probes) -> None:
    findings = [probes(f"p-{n}").finding() for n in range(2)]
    judged = [
        Judged(topic, payload, 0, judge_message(topic, payload, wall_clock(), Keyring({}, {})))
        for topic, payload in ((feed.finding(f.probe.id, f.measurement), msgspec.json.encode(f)) for f in findings)
    ]
    judged.append(Judged("x", b"", 0, Rejected("unknown_topic", "")))
    outcomes = [Outcome("stored"), Outcome("duplicate"), Outcome("rejected")]
    assert new_findings(judged, outcomes) == findings[:1]


def test_one_answer_a_probe_with_every_id_once() -> None:
    outcomes = [
        Outcome("stored", "a", "1", answer=True),
        Outcome("duplicate", "a", "1", answer=True),
        Outcome("rejected", "a", "2", answer=True, refused="bad_clock"),
        Outcome("rejected", "b", "", answer=False, refused="bad_json"),
        Outcome("noted"),
        Outcome("stored", "c", "3", answer=True),
    ]
    assert answers(outcomes) == {
        "a": feed.Stored(ids=["1", "2"], refused={"2": "bad_clock"}),
        "c": feed.Stored(ids=["3"]),
    }


def test_waits_grow_with_jitter_and_stay_bounded() -> None:
    chance = Random(1)
    waits = [[backoff(failures, chance) for _ in range(200)] for failures in (1, 4, 1000)]
    assert max(waits[0]) <= 1.0 < max(waits[1]) <= 8.0 < max(waits[2]) <= LONGEST_WAIT
    assert min(min(w) for w in waits) >= 0.1
    assert len({round(w, 3) for w in waits[2]}) > 100, "no thundering herd"
