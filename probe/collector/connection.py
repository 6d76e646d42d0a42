"""One MQTT connection of the collector, from CONNECT to loss. A lost one is thrown away and never used again.

paho 2.2 connects (TLS, name, session); once the broker has accepted, its socket is read and written here, with the
packets of :mod:`~probe.collector.mqtt`, in the one thread that owns the connection: paho needs 25 µs for a message, and
its own threads would hold locks in callbacks that ``publish`` takes too.
"""

from __future__ import annotations

import contextlib
import functools
import selectors
import socket
import ssl
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from probe.collector import mqtt as packets
from probe.collector.homes import BROKER_LOG
from probe.model import feed
from probe.model.config import Config, TlsConfig
from probe.model.errors import ConfigError, MalformedRecord

TOPICS = tuple(f"{feed.ROOT}/+/{rest}" for rest in ("finding/+", "evidence/+", "heartbeat", "availability", "info"))
SHARED = ("finding/+", "evidence/+", "heartbeat")
"""What the collectors of a group share (MQTT 5, section 4.8.2); the rest, which may be retained, each of them hears."""
SESSION = 24 * 3600
"""Seconds that the broker keeps what arrives while the collector is away; nothing where others take its part."""
RECEIVE = 10_000
"""Most messages that the broker may send ahead of their acknowledgement (a broker's own limit may be lower)."""
LARGEST = 16 * 1024 * 1024
"""Largest packet that the broker may deliver: well above what is accepted, so that a too large one is seen, counted."""
AT_ONCE = 1024 * 1024
"""Bytes read in one go before the caller gets its turn."""
PATIENCE = 10.0
"""Seconds for the handshakes."""


_TOPICS_MID, _LOG_MID = 1, 2  # of the two subscriptions; messages have the numbers beyond
_LAST_MID = 65535
_CHUNK = 256 * 1024  # bytes taken from the kernel at a time


class Message(NamedTuple):
    """What arrived. ``mid`` acknowledges it, on connection number ``epoch`` alone. ``topic`` is empty if not UTF-8."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    epoch: int


def topics(share: str) -> list[str]:
    """What a collector subscribes to. ``share``: the name of its group; empty: it is the only one."""
    if not share:
        return list(TOPICS)
    shared = {f"{feed.ROOT}/+/{rest}" for rest in SHARED}
    return [f"$share/{share}/{topic}" if topic in shared else topic for topic in TOPICS]


class Connection:
    """An open, subscribed connection. Not for several threads, save :meth:`wake`."""

    def __init__(self, config: Config, epoch: int) -> None:
        """Connect and subscribe; raises OSError if that fails and ConfigError for TLS files that can't be read."""
        self.epoch = epoch
        self.stale_acks = 0
        self._messages: list[Message] = []
        self._lost = ""
        self._accepted = self._subscribed = False
        self._stream = packets.Stream(LARGEST)
        self._out = bytearray()
        self._events = 0  # of the socket that are waited for
        self._unanswered: set[int] = set()  # numbers of our messages
        self._queued: deque[tuple[str, bytes, bytes, bool]] = deque()  # beyond what the broker takes at once
        self._window = self._mid = _LAST_MID
        self._keepalive = float(config.mqtt.keepalive)
        self._heard = self._said = time.monotonic()
        self._client = self._prepare(config)
        self._selector = selectors.DefaultSelector()
        self._wake_here, self._wake_there = socket.socketpair()
        self._wake_here.setblocking(False)
        self._wake_there.setblocking(False)
        self._selector.register(self._wake_here, selectors.EVENT_READ)
        self._sock: mqtt.SocketLike | None = None
        try:
            self._open(config)
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> str:
        """Why the connection is gone; empty while it stands."""
        return self._lost

    def poll(self, timeout: float, *, hold: bool = False) -> list[Message]:
        """Wait at most ``timeout`` seconds for traffic, handle it, and return the messages that arrived. With ``hold``
        nothing is read."""
        sock = self._sock
        if sock is None or self._lost:
            self._lost = self._lost or "connection closed"
            return []
        self.flush()
        self._listen(sock, (0 if hold else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self._out else 0))
        reading = not hold and _pending(sock)
        ready = {key.fileobj: mask for key, mask in self._selector.select(0 if reading else timeout)}
        if self._wake_here in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_here.recv(4096)
        if reading or ready.get(sock, 0) & selectors.EVENT_READ:
            self._read(sock)
        self._live(hold=hold)
        self.flush()
        arrived, self._messages = self._messages, []
        return arrived

    def acknowledge(self, message: Message) -> None:
        """PUBACK, unless the message came over another connection: its number may now mean another message."""
        if message.epoch != self.epoch:
            self.stale_acks += 1
        elif message.qos and not self._lost:
            self._out += packets.acknowledgement(message.mid)

    def publish(self, topic: str, payload: bytes, schema: str, *, retain: bool = False, expiry: int = 0) -> None:
        """Publish at QoS 1 with content type and schema (contract 3). ``expiry`` in seconds, 0: none."""
        self._queued.append((topic, payload, _about(schema, expiry), retain))
        self._send_queued()

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it."""
        while self._out and self._sock is not None and not self._lost:
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self._lost = f"connection lost: {error}"
                return
            del self._out[:sent]
            self._said = time.monotonic()

    def wake(self) -> None:
        """Make a waiting :meth:`poll` return. May be called from any thread."""
        # A full buffer means that a wake-up is already on its way; a closed one that there is nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_there.send(b"!")

    def close(self) -> None:
        """Say goodbye if the connection stands, and free everything."""
        if self._sock is not None and not self._lost:
            deadline = time.monotonic() + 1.0
            while (self._out or self._queued) and time.monotonic() < deadline and not self._lost:
                self.poll(0.05)
            self._out += packets.DISCONNECT
            self.flush()
        self._client.on_disconnect = None
        self._selector.close()
        sock = self._client.socket()  # the same as ours, once it is
        if sock is not None:
            sock.close()
        self._wake_here.close()
        self._wake_there.close()

    def _prepare(self, config: Config) -> mqtt.Client:
        settings = config.mqtt
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, config.collector.client_id, protocol=mqtt.MQTTv5, manual_ack=True
        )
        client.connect_timeout = PATIENCE
        if settings.tls is not None:
            client.tls_set_context(_tls_context(settings.tls))
        if settings.username or settings.password_file:
            client.username_pw_set(settings.username or config.collector.client_id, _password(settings.password_file))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        return client

    def _open(self, config: Config) -> None:
        settings = config.mqtt
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0 if config.collector.share else SESSION
        properties.ReceiveMaximum = RECEIVE
        properties.MaximumPacketSize = LARGEST
        self._client.connect(
            settings.host,
            settings.port or (8883 if settings.tls is not None else 1883),
            settings.keepalive,
            clean_start=False,
            properties=properties,
        )
        sock = self._client.socket()
        if sock is None:
            raise ConnectionError("the broker closed the connection at once")
        self._listen(sock, selectors.EVENT_READ)
        deadline = time.monotonic() + PATIENCE
        while not self._accepted:
            if self._lost:
                raise ConnectionError(self._lost)
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer from the broker in {PATIENCE:.0f} s")
            if self._client.want_write():
                self._client.loop_write()
            if self._selector.select(0.5) or _pending(sock):
                self._client.loop_read()  # one packet and no more: what follows it is read here
        self._sock = sock
        self._out += packets.subscription(_TOPICS_MID, topics(config.collector.share), qos=1)
        # A broker may keep its log to itself: its answer to this one is not waited for.
        self._out += packets.subscription(_LOG_MID, [BROKER_LOG], qos=0)
        waiting: list[Message] = []
        while not self._subscribed:
            waiting += self.poll(0.5)
            if self._lost:
                raise ConnectionError(self._lost)
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer from the broker in {PATIENCE:.0f} s")
        self._messages = waiting  # a kept session delivers before the subscription is confirmed

    def _read(self, sock: mqtt.SocketLike) -> None:
        size = 0
        while size < AT_ONCE and not self._lost:
            try:
                data = sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._lost = f"connection lost: {error}"
                return
            if not data:
                self._lost = "connection lost: the broker closed it"
                return
            size += len(data)
            self._heard = time.monotonic()
            try:
                events = self._stream.feed(data)
            except MalformedRecord as error:
                self._lost = f"connection lost: {error}"
                return
            for event in events:
                self._handle(event)
            if len(data) < _CHUNK and not _pending(sock):
                return

    def _handle(self, event: packets.Event) -> None:
        if type(event) is packets.Published:
            self._messages.append(Message(event.topic, event.payload, event.mid, event.qos, self.epoch))
        elif type(event) is packets.Acknowledged:
            self._unanswered.discard(event.mid)
            self._send_queued()
        elif type(event) is packets.Subscribed and event.mid == _TOPICS_MID:
            if event.refused:
                why = ReasonCode(PacketTypes.SUBACK, identifier=event.refused)
                self._lost = f"the broker refused a subscription: {why}"
            self._subscribed = True
        elif type(event) is packets.Farewell:
            self._lost = f"connection lost: the broker ended it (reason {event.reason})"

    def _send_queued(self) -> None:
        while self._queued and len(self._unanswered) < self._window:
            topic, payload, about, retain = self._queued.popleft()
            while True:
                self._mid = self._mid + 1 if self._mid < _LAST_MID else _LOG_MID + 1
                if self._mid not in self._unanswered:
                    break
            self._unanswered.add(self._mid)
            self._out += packets.publication(topic, payload, self._mid, about, retain=retain)

    def _listen(self, sock: mqtt.SocketLike, events: int) -> None:
        if events == self._events:
            return
        if not self._events:
            self._selector.register(sock, events)
        elif events:
            self._selector.modify(sock, events)
        else:
            self._selector.unregister(sock)
        self._events = events

    def _live(self, *, hold: bool) -> None:
        """Ping a broker that nothing was said to for long; one that says nothing for longer is gone (3.1.2.10)."""
        now = time.monotonic()
        if self._keepalive and now - self._said > self._keepalive / 2 and not self._out:
            self._out += packets.PINGREQ
        if hold:
            self._heard = now
        if self._keepalive and now - self._heard > 1.5 * self._keepalive:
            self._lost = self._lost or f"connection lost: silence for {now - self._heard:.0f} s"

    def _on_connect(
        self, _client: mqtt.Client, _userdata: object, _flags: mqtt.ConnectFlags, code: ReasonCode,
        properties: Properties | None,
    ) -> None:  # fmt: skip
        if code.is_failure:
            self._lost = f"the broker refused: {code}"
            return
        # What the broker takes at once may leave out what was said before: the numbers of the subscriptions.
        self._window = min(getattr(properties, "ReceiveMaximum", _LAST_MID), _LAST_MID - _LOG_MID)
        self._keepalive = float(getattr(properties, "ServerKeepAlive", self._keepalive))
        self._accepted = True

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        self._lost = self._lost or f"connection lost: {code}"


@functools.lru_cache(100)
def _about(schema: str, expiry: int) -> bytes:
    return packets.properties("application/json", schema, expiry)


def _pending(sock: mqtt.SocketLike) -> bool:
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _tls_context(files: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca or None)
        if files.certificate:
            context.load_cert_chain(files.certificate, files.key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("mqtt.tls", f"the files can't be used: {error}") from error
    return context


def _password(path: str) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError) as error:
        raise ConfigError("mqtt.password_file", f"can't be read: {error}") from error


__all__ = ["TOPICS", "Connection", "Message"]
