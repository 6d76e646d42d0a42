"""From messages to stored findings, three things at a time: while one batch is taken off the connection, the one before
is decoded and its signatures are checked (:mod:`.checkers`), and the one before that is committed beside both.

Order is kept: a message is judged after all that came before it, and stored with them or after them.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import msgspec

from probe.collector.checkers import Checked, Checkers, check
from probe.collector.connection import Message
from probe.collector.homes import BROKER_LOG, judge_line
from probe.collector.ingest import Draft, conclude, is_finding
from probe.collector.keyring import Keyring
from probe.collector.store import Store
from probe.collector.verdicts import Judged, NewFinding, Outcome

LATENCY = 0.1
"""Most seconds that a message waits for others to share its commit."""
CHECKERS = max(1, min(4, os.cpu_count() or 1))
"""Lanes in which findings are checked; the system shares the cores out between them and the store."""


class Committed(msgspec.Struct, frozen=True):
    """A batch that is on the disk."""

    messages: list[Message]
    judged: list[Judged]
    outcomes: list[Outcome]


class _Load(msgspec.Struct, frozen=True):
    """What came at once, and is being checked."""

    messages: list[Message]
    others: list[Checked]  # of all that are no findings
    answers: list[Future[list[Checked]]]  # of the findings
    received_at: int


class Pipeline:
    """For one thread, which calls ``take`` and ``advance``; ``wake`` is called from others when something is ready."""

    def __init__(
        self, store: Store, keyring: Keyring, secret: bytes, batch: int, *, now: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        """``secret``: of :mod:`.homes`; ``batch``: most messages of a commit; ``now`` in ms."""
        self._store, self._keyring, self._secret, self._batch = store, keyring, secret, batch
        self._now, self._wake = now, wake
        self._checkers = Checkers(CHECKERS)
        self._writer = ThreadPoolExecutor(1, "store")
        self._loads: deque[_Load] = deque()
        self._messages: list[Message] = []
        self._judged: list[Judged] = []  # and waiting for their commit
        self._since = 0.0  # when the first of them was judged
        self._commit: tuple[list[Message], list[Judged], Future[list[Outcome]]] | None = None
        self.size = 0
        """Bytes of payloads that are under way."""

    @property
    def empty(self) -> bool:
        """Whether nothing is under way."""
        return not (self._loads or self._judged or self._commit)

    def take(self, messages: list[Message]) -> None:
        """These have come."""
        received_at = self._now()
        self.size += sum(len(message.payload) for message in messages)
        findings = [(message.topic, message.payload) for message in messages if is_finding(message.topic)]
        answers = self._checkers.submit(findings, received_at)
        for answer in answers[-1:]:
            answer.add_done_callback(lambda _: self._wake())
        others = [self._check(message, received_at) for message in messages if not is_finding(message.topic)]
        self._loads.append(_Load(messages, others, answers, received_at))

    def advance(self, *, quiet: bool) -> Committed | None:
        """Move on what can be moved; a batch that was committed. ``quiet``: no more is coming, so do not wait for it.

        Raises StoreError if a commit failed: then nothing that is under way will be stored.
        """
        while self._loads and all(answer.done() for answer in self._loads[0].answers):
            self._conclude(self._loads.popleft())
        done = None
        if self._commit is not None and self._commit[2].done():
            messages, judged, future = self._commit
            self._commit = None
            done = Committed(messages, judged, future.result())
            self.size -= sum(len(message.payload) for message in messages)
        if self._commit is None and self._judged:
            full = len(self._judged) >= self._batch
            if full or (quiet and not self._loads) or time.monotonic() >= self._since + LATENCY:
                self._begin()
        return done

    def close(self) -> None:
        """Wait for the threads; what was not stored is lost to this pipeline, and will be delivered again."""
        self._checkers.close()
        self._writer.shutdown()

    def _check(self, message: Message, received_at: int) -> Checked:
        if message.topic == BROKER_LOG:  # the line itself holds an address: it goes no further
            return Draft(judge_line(message.payload, self._secret)), False
        return check([(message.topic, message.payload)], received_at)[0]

    def _conclude(self, load: _Load) -> None:
        findings, others = chain.from_iterable(answer.result() for answer in load.answers), iter(load.others)
        if not self._judged:
            self._since = time.monotonic()
        for message in load.messages:
            judgement = conclude(*next(findings if is_finding(message.topic) else others), self._keyring)
            if isinstance(judgement, NewFinding):
                # Before it is stored: the next message of the probe must be held against it.
                self._keyring.pin(judgement.finding.probe.id, judgement.key)
            if message.topic == BROKER_LOG:
                self._judged.append(Judged("", b"", load.received_at, judgement))
            else:
                self._judged.append(Judged(message.topic, message.payload, load.received_at, judgement))
        self._messages += load.messages

    def _begin(self) -> None:
        messages, judged = self._messages[: self._batch], self._judged[: self._batch]
        del self._messages[: self._batch], self._judged[: self._batch]
        self._since = time.monotonic()
        more = bool(self._judged or self._loads)
        future = self._writer.submit(self._store.commit, judged, more=more)
        future.add_done_callback(lambda _: self._wake())
        self._commit = messages, judged, future


__all__ = ["CHECKERS", "LATENCY", "Committed", "Pipeline"]
