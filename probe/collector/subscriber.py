"""The subscriber: one thread that takes messages off the broker, has them stored, and only then acknowledges them.

One dedicated thread owns the connection and the store's writing side. A commit waits for the disk (FULL); in the event
loop every viewer would wait with it, and with two threads the acknowledgements would need locks around paho.
Order for each batch: commit → PUBACK → ``stored``. Whatever dies in between, the message or the answer is repeated and
the store recognises it by its id.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from probe.collector.connection import Connection, Message
from probe.collector.homes import BROKER_LOG, judge_line
from probe.collector.ingest import judge_message
from probe.collector.instants import now as wall_clock
from probe.collector.keyring import Keyring
from probe.collector.public_feed import PublicFeed
from probe.collector.store import Store
from probe.collector.verdicts import Judged, NewFinding, Outcome
from probe.model import feed
from probe.model.config import Config
from probe.model.errors import StoreError
from probe.model.finding import Finding

LATENCY = 0.1
"""Most seconds that a message waits for others to share its commit."""
QUIET = 0.01
"""Seconds without a message after which a batch is committed at once: a broker with a small window waits for us."""
BATCH_BYTES = 4 * 1024 * 1024
LONGEST_WAIT = 30.0

_log = logging.getLogger(__name__)


class Subscriber:
    """Runs in a thread of its own: ``run`` returns after ``stop``, or raises what nothing can mend."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        now: Callable[[], int] = wall_clock,
        connect: Callable[[Config, int], Connection] = Connection,
        chance: random.Random | None = None,
        public: PublicFeed | None = None,
    ) -> None:
        """Raises ConfigError for a trusted key that is none, StoreError if the store can't be read."""
        self._config = config
        self._store = store
        self._now = now
        self._connect = connect
        self._chance = chance or random.Random()
        self._public = public
        self._keyring = self._load_keys()
        self._home_secret = store.home_secret()
        self._stop = threading.Event()
        self._connection: Connection | None = None
        self.trouble = "not connected yet"
        """What is wrong right now, for the health page; empty if nothing is."""

    def stop(self) -> None:
        """Ask ``run`` to finish: what has arrived is committed and answered first. From any thread."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.wake()

    def run(self) -> None:
        """Serve until stopped. A lost broker or a full disk is waited for; raises ConfigError."""
        epoch = failures = 0
        while not self._stop.is_set():
            epoch += 1
            try:
                self._connection = self._connect(self._config, epoch)
            except OSError as error:
                self.trouble = f"broker {self._config.mqtt.host}: {error}"
            else:
                failures = 0
                self.trouble = ""
                _log.info("connected to broker %s", self._config.mqtt.host)
                self.trouble = self._serve(self._connection)
            if not self._stop.is_set():
                failures += 1
                pause = backoff(failures, self._chance)
                _log.warning("%s; trying again in %.1f s", self.trouble, pause)
                self._stop.wait(pause)

    def _serve(self, connection: Connection) -> str:
        """Serve one connection until it is lost, the store fails or we are stopped; returns the trouble."""
        try:
            if self._public is not None:
                self._public.begin()
            while not connection.lost and not self._stop.is_set():
                self._commit(connection, self._gather(connection))
                self._publish(connection)
        except StoreError as error:
            # Nothing was acknowledged: with a new connection the broker delivers the batch again.
            self._keyring = self._load_keys()
            return str(error)
        finally:
            connection.close()
            self._connection = None
        return connection.lost or "stopped"

    def _gather(self, connection: Connection) -> list[Message]:
        """The next batch: full, 100 ms old, or followed by silence; empty after a second of it."""
        batch: list[Message] = []
        size = 0
        deadline = time.monotonic() + LATENCY
        while not connection.lost and not self._stop.is_set():
            arrived = connection.poll(QUIET if batch else 1.0)
            if not batch:
                deadline = time.monotonic() + LATENCY
            batch += arrived
            size += sum(len(message.payload) for message in arrived)
            full = len(batch) >= self._config.collector.batch or size >= BATCH_BYTES
            if not arrived or full or time.monotonic() >= deadline:
                break
        return batch

    def _commit(self, connection: Connection, messages: list[Message]) -> None:
        most = self._config.collector.batch
        for start in range(0, len(messages), most):
            part = messages[start : start + most]
            judged = [self._judge(message) for message in part]
            outcomes = self._store.commit(judged)
            for message in part:
                connection.acknowledge(message)
            for probe, answer in answers(outcomes).items():
                connection.publish(feed.stored(probe), msgspec.json.encode(answer), answer.schema)
            if self._public is not None:
                self._public.touched(new_findings(judged, outcomes))

    def _publish(self, connection: Connection) -> None:
        for post in self._public.due() if self._public is not None else []:
            connection.publish(post.topic, post.payload, post.schema, retain=post.retain, expiry=post.expiry)

    def _judge(self, message: Message) -> Judged:
        received_at = self._now()
        if message.topic == BROKER_LOG:  # the line itself holds an address: it goes no further
            return Judged("", b"", received_at, judge_line(message.payload, self._home_secret))
        judgement = judge_message(message.topic, message.payload, received_at, self._keyring)
        if isinstance(judgement, NewFinding):
            # In this batch already: the next message of the probe must be held against it.
            self._keyring.pin(judgement.finding.probe.id, judgement.key)
        return Judged(message.topic, message.payload, received_at, judgement)

    def _load_keys(self) -> Keyring:
        return Keyring(self._config.collector.trusted_keys, self._store.pinned_keys())


def answers(outcomes: Sequence[Outcome]) -> dict[str, feed.Stored]:
    """Probe → the ``stored`` message that it is due."""
    due: dict[str, dict[str, str]] = {}
    for outcome in outcomes:
        if outcome.answer:
            due.setdefault(outcome.probe, {})[outcome.finding_id] = outcome.refused
    return {
        probe: feed.Stored(ids=list(ids), refused={i: reason for i, reason in ids.items() if reason})
        for probe, ids in due.items()
    }


def new_findings(judged: Sequence[Judged], outcomes: Sequence[Outcome]) -> list[Finding]:
    """What a batch added to what was known."""
    return [
        message.judgement.finding
        for message, outcome in zip(judged, outcomes, strict=True)
        if isinstance(message.judgement, NewFinding) and outcome.kind == "stored"
    ]


def backoff(failures: int, chance: random.Random) -> float:
    """Seconds to wait after so many failures in a row: doubling from half a second, with full jitter."""
    return chance.uniform(0.1, min(LONGEST_WAIT, 0.5 * 2 ** min(failures, 10)))


__all__ = ["Subscriber", "answers", "backoff", "new_findings", "wall_clock"]
