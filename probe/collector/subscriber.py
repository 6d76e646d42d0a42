"""The subscriber: one thread that takes messages off the broker, has them stored, and only then acknowledges them.

It owns the connection; checking and storing run beside it (:mod:`~probe.collector.pipeline`), in the order in which the
messages came. Order for each batch: commit → PUBACK → ``stored``. Whatever dies in between, the message or the answer
is repeated and the store recognises it by its id.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from probe.collector.connection import Connection
from probe.collector.instants import now as wall_clock
from probe.collector.keyring import Keyring
from probe.collector.pipeline import Committed, Pipeline
from probe.collector.public_feed import PublicFeed
from probe.collector.store import Store
from probe.collector.verdicts import Judged, NewFinding, Outcome
from probe.model import feed
from probe.model.config import Config
from probe.model.errors import StoreError
from probe.model.finding import Finding

QUIET = 0.01
"""Seconds without a message after which a batch is committed at once: a broker with a small window waits for us."""
UNDER_WAY = 64 * 1024 * 1024
"""Bytes of messages beyond which no more are read until some are stored."""
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
                # Anew each time: what was judged and then not stored may have left keys behind.
                self._keyring = self._load_keys()
                self._connection = self._connect(self._config, epoch)
            except StoreError as error:
                self.trouble = str(error)
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
        pipeline = Pipeline(
            self._store, self._keyring, self._home_secret, self._config.collector.batch, now=self._now,
            wake=connection.wake,
        )  # fmt: skip
        try:
            if self._public is not None:
                self._public.begin()
            self._work(connection, pipeline)
        except StoreError as error:
            # Nothing was acknowledged: with a new connection the broker delivers the batch again.
            return str(error)
        finally:
            pipeline.close()
            connection.close()
            self._connection = None
        return connection.lost or "stopped"

    def _work(self, connection: Connection, pipeline: Pipeline) -> None:
        """Until the connection is lost, or we are stopped and what had come is stored and answered."""
        last = time.monotonic()
        while not connection.lost:
            stopping = self._stop.is_set()
            if stopping and pipeline.empty:
                return
            hold = stopping or pipeline.size > UNDER_WAY
            arrived = connection.poll(1.0 if pipeline.empty else QUIET, hold=hold)
            if arrived:
                pipeline.take(arrived)
                last = time.monotonic()
            done = pipeline.advance(quiet=time.monotonic() >= last + QUIET)
            if done is not None:
                self._answer(connection, done)
            self._publish(connection)

    def _answer(self, connection: Connection, done: Committed) -> None:
        for message in done.messages:
            connection.acknowledge(message)
        for probe, answer in answers(done.outcomes).items():
            connection.publish(feed.stored(probe), msgspec.json.encode(answer), answer.schema)
        connection.flush()
        if self._public is not None:
            self._public.touched(new_findings(done.judged, done.outcomes))

    def _publish(self, connection: Connection) -> None:
        for post in self._public.due() if self._public is not None else []:
            connection.publish(post.topic, post.payload, post.schema, retain=post.retain, expiry=post.expiry)

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
    """What a batch added to what was known: one finding for each line, measurement and target."""
    found: dict[tuple[object, ...], Finding] = {}
    for message, outcome in zip(judged, outcomes, strict=True):
        if isinstance(message.judgement, NewFinding) and outcome.kind == "stored":
            finding = message.judgement.finding
            found[finding.line, finding.measurement, finding.target.input] = finding
    return list(found.values())


def backoff(failures: int, chance: random.Random) -> float:
    """Seconds to wait after so many failures in a row: doubling from half a second, with full jitter."""
    return chance.uniform(0.1, min(LONGEST_WAIT, 0.5 * 2 ** min(failures, 10)))


__all__ = ["Subscriber", "answers", "backoff", "new_findings", "wall_clock"]
