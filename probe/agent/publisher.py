"""Publishes the spool by contract 3: a finding leaves it only when it is safe elsewhere.

One task owns the connection and reads its inbox; nothing else touches either. What is under way is held to a window.
A finding that the broker has acknowledged but nobody has stored is sent again after ``resend_after``; one that the
broker has not even acknowledged is still in its hands or on the wire, and is only sent again on the next connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from probe.agent.backoff import Backoff
from probe.agent.link import Acknowledged, Closed, Dial, Event, Kind, Message, Subscribed, Will, dial
from probe.agent.spool import Entry, Spool
from probe.agent.states import States
from probe.agent.waiting import Waiting
from probe.model import feed, heartbeat
from probe.model.config import MqttConfig
from probe.model.finding import SCHEMA, Finding, Token

if TYPE_CHECKING:
    from probe.agent.connection import Connection

log = logging.getLogger(__name__)

TICK = 40.0
"""Longest the publisher's task sleeps: each wake-up is a heartbeat for the watchdog."""
_STALLED = 120.0  # seconds without any PUBACK for what is under way: the connection is taken as dead
_LASTED = 60.0  # seconds after which a connection counts as a good one, and the back-off begins anew
_INFO_EVERY = 300.0
_EXPIRY = 7 * 86400  # what a collector has not fetched from its broker in a week, the spool still has
_LEAST_RESEND = 0.2
_HEARTBEATS = 5  # most of them under way at once: after a long cut they must not hold up the findings
_HEADERS = 256  # bytes of a PUBLISH besides topic and payload, generously


_EVIDENCE = Kind("application/gzip", "colibri.evidence/1", _EXPIRY)
_FINDING = Kind("application/json", SCHEMA, _EXPIRY)
_HEARTBEAT = Kind("application/json", heartbeat.SCHEMA, _EXPIRY)
_STATE = Kind("application/json", "colibri.state/1")


class _Flight(msgspec.Struct):
    mid: int
    sent_at: float
    resend_at: float | None = None  # unknown until the broker has acknowledged
    heartbeat: bool = False


class Publisher:
    """Keeps feed and spool together. ``run`` is its task; the other methods are for the same event loop."""

    def __init__(
        self,
        config: MqttConfig,
        probe: Token,
        spool: Spool,
        info: Callable[[], feed.Info],
        *,
        backoff: Backoff,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        dial: Dial = dial,
        waiting: Waiting | None = None,
        hold: Callable[[], bool] = lambda: False,
    ) -> None:
        """``waiting``: heartbeats, which go the same way as the findings of ``spool``. ``hold``: whether findings are
        to wait."""
        self._others: tuple[str, ...] = ()
        self._hear: Callable[[Message], None] = lambda _: None
        self._config, self._probe, self._spool, self._info = config, probe, spool, info
        self._backoff, self._beat, self._clock, self._dial = backoff, beat, clock, dial
        self._waiting, self._hold_findings = waiting, hold
        self._link: Connection | None = None
        self._flights: dict[str, _Flight] = {}
        self._too_large: set[str] = set()
        self._states = States(probe, spool)
        self._stop = asyncio.Event()
        self._nudge = asyncio.Event()
        self._changed = asyncio.Event()
        self._info_due = 0.0
        self._heard_at = 0.0
        self.trouble = ""
        """Why there is no connection, or empty."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us."""
        return self._link is not None

    def submit(self, finding: Finding, made_at: float, evidence: bytes | None = None) -> None:
        """Spool a finding (it is on the disk on return) and publish it as soon as can be.

        ``made_at``: seconds since the epoch; ``evidence``: compressed. Raises OSError when the disk fails.
        """
        body = msgspec.json.encode(finding)
        self._spool.add([Entry(finding.id, finding.measurement, finding.verdict, body, made_at, evidence)])
        topic, state = self._states.update(finding)
        if self._link is not None:
            self._publish_state(self._link, topic, state)
            self._link.wake()

    def refresh(self) -> None:
        """Publish ``info`` anew: something that it tells has changed."""
        self._info_due = 0.0
        if self._link is not None:
            self._link.wake()

    def wake(self) -> None:
        """A heartbeat has been made: send it if there is a connection."""
        if self._link is not None:
            self._link.wake()

    def listen(self, topics: Iterable[str], hear: Callable[[Message], None]) -> None:
        """Subscribe to these topics as well, at every connection; what comes on them goes to ``hear``."""
        self._others, self._hear = tuple(topics), hear

    def say(self, topic: str, payload: bytes) -> None:
        """Publish something that matters only now; where there is no connection, it is lost."""
        if self._link is not None:
            self._link.publish(topic, payload)

    def hurry(self) -> None:
        """Try to connect now: the line has changed, and the last failure tells nothing any more."""
        self._backoff.reset()
        self._nudge.set()

    def stop(self) -> None:
        """End ``run``: say offline, disconnect. What is not stored stays in the spool."""
        self._stop.set()
        self._nudge.set()
        if self._link is not None:
            self._link.wake()

    async def drained(self, limit: float) -> bool:
        """Wait until the spool is empty, at most ``limit`` seconds; whether it is."""
        end = self._clock() + limit
        while self._spool.depth and (left := end - self._clock()) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
        return self._spool.depth == 0

    async def run(self) -> None:
        """Connect, publish, connect again, until :meth:`stop`. No broker in the configuration: only waits."""
        while not self._stop.is_set():
            if not self._config.host:
                await self._pause(TICK)
                continue
            try:
                link = await self._connect()
            except OSError as error:
                self.trouble = str(error) or type(error).__name__
                delay = self._backoff.next()
                log.warning("no connection to the broker: %s; next attempt in %.0f s", self.trouble, delay)
                await self._pause(delay)
                continue
            if link is not None:
                await self._hold(link)

    async def _connect(self) -> Connection | None:
        will = Will(feed.availability(self._probe), feed.GONE)
        dialling = asyncio.ensure_future(self._dial(self._config, self._probe, self._probe, will))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            while not dialling.done() and not self._stop.is_set():
                self._beat()
                await asyncio.wait((dialling, stopping), timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
            return dialling.result() if dialling.done() else None
        finally:
            stopping.cancel()
            dialling.cancel()

    async def _hold(self, link: Connection) -> None:
        since = self._heard_at = self._clock()
        self._link, self.trouble, self._info_due = link, "", since
        self._flights.clear()
        log.info("connected to the broker")
        try:
            for topic in (feed.stored(self._probe), *self._others):
                link.subscribe(topic)
            link.publish(feed.availability(self._probe), feed.AVAILABLE, retain=True)
            for topic, state in self._states.all():
                self._publish_state(link, topic, state)
            reason = await self._session(link)
            if not self._stop.is_set():
                self.trouble = reason
                log.warning("the connection to the broker is lost: %s", reason)
        finally:
            self._link = None
            await self._leave(link)
        if self._clock() - since >= _LASTED:
            self._backoff.reset()
        if not self._stop.is_set():
            await self._pause(self._backoff.next())

    async def _leave(self, link: Connection) -> None:
        if self._stop.is_set():
            link.publish(feed.availability(self._probe), feed.GONE, retain=True)
            await link.close()
        else:
            link.abort()

    async def _session(self, link: Connection) -> str:
        while not self._stop.is_set():
            now = self._clock()
            self._beat()
            self._expire(now)
            self._send_info(link, now)
            self._send_heartbeats(link, now)
            self._fill(link, now)
            if link.outstanding and now - self._heard_at > _STALLED:
                return f"nothing acknowledged in {_STALLED:.0f} s"
            due = [flight.resend_at - now for flight in self._flights.values() if flight.resend_at is not None]
            try:
                async with asyncio.timeout(max(0.0, min([TICK, *due]))):
                    event = await link.inbox.get()
            except TimeoutError:
                continue
            events = [event]
            while not link.inbox.empty():
                events.append(link.inbox.get_nowait())
            lost = self._handle(events)
            if lost is not None:
                return lost
        return "stopped"

    def _handle(self, events: list[Event]) -> str | None:
        safe: list[str] = []
        lost: str | None = None
        for event in events:
            match event:
                case Message() if event.topic in self._others:
                    self._hear(event)
                case Message():
                    safe += self._read_stored(event)
                case Acknowledged():
                    safe += self._read_acknowledgement(event)
                case Subscribed(failure) if failure:
                    log.error("the broker refuses us a topic that is ours to hear: %s", failure)
                case Closed(reason):
                    lost = reason
        if safe and self._let_go(safe):
            self._backoff.reset()
            for finding_id in safe:
                self._flights.pop(finding_id, None)
            self._changed.set()
        return lost

    def _let_go(self, ids: list[str]) -> int:
        heartbeats = self._waiting.remove(ids) if self._waiting is not None else 0
        # A commit on the card is a finding's; a heartbeat alone makes none.
        return heartbeats + (self._spool.remove(ids) if heartbeats < len(ids) else 0)

    def _read_stored(self, message: Message) -> list[str]:
        if self._config.acknowledged_by != "collector" or message.topic != feed.stored(self._probe):
            return []
        try:
            stored = msgspec.json.decode(message.payload, type=feed.Stored)
        except msgspec.DecodeError as error:
            log.warning("the collector's 'stored' can't be read: %s", error)
            return []
        for finding_id, reason in stored.refused.items():
            log.error("the collector refused %s: %s", finding_id, reason)
        return stored.ids

    def _read_acknowledgement(self, event: Acknowledged) -> list[str]:
        now = self._heard_at = self._clock()
        if event.failure:
            log.warning("the broker refused a message: %s", event.failure)
        for finding_id, flight in self._flights.items():
            if flight.mid == event.mid:
                flight.resend_at = now + max(_LEAST_RESEND, self._config.resend_after)
                if self._config.acknowledged_by == "broker" and not event.failure:
                    return [finding_id]
        return []

    def _expire(self, now: float) -> None:
        late = [i for i, flight in self._flights.items() if flight.resend_at is not None and flight.resend_at <= now]
        for finding_id in late:
            del self._flights[finding_id]
        if late:
            log.info("%d messages were not stored in time: sending them again", len(late))

    def _fill(self, link: Connection, now: float) -> None:
        room = self._config.window - sum(not flight.heartbeat for flight in self._flights.values())
        if room <= 0 or self._hold_findings():
            return
        skip = self._flights.keys() | self._too_large
        waiting = [e for e in self._spool.pending(room + len(skip), now) if e.id not in skip][:room]
        if not waiting and not self._flights:
            self._heard_at = now  # nothing is under way: silence is no sign
        for entry in waiting:
            self._send(link, entry, now)
        self._spool.mark_sent([entry.id for entry in waiting], now)

    def _send(self, link: Connection, entry: Entry, now: float) -> None:
        topic = feed.finding(self._probe, entry.measurement)
        if len(entry.json) + len(topic) + _HEADERS > link.largest:
            log.error("finding %s is larger than the broker takes (%d bytes): it stays here", entry.id, link.largest)
            self._too_large.add(entry.id)
            return
        # Evidence first: on one ordered connection, "stored" for the finding then means that the evidence came before.
        if entry.evidence is not None and len(entry.evidence) + 2 * _HEADERS <= link.largest:
            link.publish(feed.evidence(self._probe, entry.id), entry.evidence, kind=_EVIDENCE)
        mid = link.publish(topic, entry.json, kind=_FINDING)
        self._flights[entry.id] = _Flight(mid, now)

    def _send_heartbeats(self, link: Connection, now: float) -> None:
        if self._waiting is None or not len(self._waiting):
            return
        under_way = {name for name, flight in self._flights.items() if flight.heartbeat}
        for name, body in self._waiting.next(_HEARTBEATS - len(under_way), under_way):
            mid = link.publish(feed.heartbeat(self._probe), body, kind=_HEARTBEAT)
            self._flights[name] = _Flight(mid, now, heartbeat=True)

    def _send_info(self, link: Connection, now: float) -> None:
        if now < self._info_due:
            return
        self._info_due = now + _INFO_EVERY
        body = self._info()
        kind = Kind("application/json", body.schema)
        link.publish(feed.info(self._probe), msgspec.json.encode(body), retain=True, kind=kind)

    def _publish_state(self, link: Connection, topic: str, state: bytes) -> None:
        link.publish(topic, state, retain=True, kind=_STATE)

    async def _pause(self, seconds: float) -> None:
        end = self._clock() + seconds
        self._nudge.clear()
        while (left := end - self._clock()) > 0 and not self._stop.is_set() and not self._nudge.is_set():
            self._beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, TICK)):
                    await self._nudge.wait()
