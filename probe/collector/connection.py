"""One MQTT connection of the collector, from CONNECT to loss. A lost one is thrown away and never used again.

paho 2.2 is driven here by ``loop_read``, ``loop_write`` and ``loop_misc`` around our own poll, in the one thread that
owns the connection: its own ``loop`` waits with select(), which fails once a thousand viewers hold file descriptors,
and its own threads would hold locks in callbacks that ``publish`` takes too.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from probe.collector.homes import BROKER_LOG
from probe.model import feed
from probe.model.config import Config, TlsConfig
from probe.model.errors import ConfigError

TOPICS = tuple(f"{feed.ROOT}/+/{rest}" for rest in ("finding/+", "evidence/+", "heartbeat", "availability", "info"))
SESSION = 24 * 3600
"""Seconds that the broker keeps what arrives while the collector is away."""
RECEIVE = 2000
"""Most messages that the broker may send ahead of their acknowledgement (a broker's own limit may be lower)."""
LARGEST = 16 * 1024 * 1024
"""Largest packet that the broker may deliver: well above what is accepted, so that a too large one is seen, counted."""
AT_ONCE = 1024 * 1024
"""Bytes read in one go before the caller gets its turn."""
PATIENCE = 10.0
"""Seconds for the handshakes."""


class Message(msgspec.Struct, frozen=True):
    """What arrived. ``mid`` acknowledges it, on connection number ``epoch`` alone. ``topic`` is empty if not UTF-8."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    epoch: int


class Connection:
    """An open, subscribed connection. Not for several threads, save :meth:`wake`."""

    def __init__(self, config: Config, epoch: int) -> None:
        """Connect and subscribe; raises OSError if that fails and ConfigError for TLS files that can't be read."""
        self.epoch = epoch
        self.stale_acks = 0
        self._messages: list[Message] = []
        self._bytes = 0
        self._lost = ""
        self._subscribed = False
        self._log_mid: int | None = None
        self._client = self._prepare(config)
        self._selector = selectors.DefaultSelector()
        self._wake_here, self._wake_there = socket.socketpair()
        self._wake_here.setblocking(False)
        self._wake_there.setblocking(False)
        self._selector.register(self._wake_here, selectors.EVENT_READ)
        try:
            self._open(config)
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> str:
        """Why the connection is gone; empty while it stands."""
        return self._lost

    def poll(self, timeout: float) -> list[Message]:
        """Wait at most ``timeout`` seconds for traffic, handle it, and return the messages that arrived."""
        sock = self._client.socket()
        if sock is None:
            self._lost = self._lost or "connection closed"
            return []
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        self._selector.modify(sock, events)
        ready = {
            key.fileobj: mask for key, mask in self._selector.select(0 if self._messages or _pending(sock) else timeout)
        }
        if self._wake_here in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_here.recv(4096)
        if ready.get(sock, 0) & selectors.EVENT_WRITE:
            self._client.loop_write()
        if ready.get(sock, 0) & selectors.EVENT_READ or _pending(sock):
            self._read()
        self._client.loop_misc()
        arrived, self._messages, self._bytes = self._messages, [], 0
        return arrived

    def acknowledge(self, message: Message) -> None:
        """PUBACK, unless the message came over another connection: its number may now mean another message."""
        if message.epoch != self.epoch:
            self.stale_acks += 1
        elif message.qos and not self._lost:
            self._client.ack(message.mid, message.qos)

    def publish(self, topic: str, payload: bytes, schema: str, *, retain: bool = False, expiry: int = 0) -> None:
        """Publish at QoS 1 with content type and schema (contract 3). ``expiry`` in seconds, 0: none."""
        if self._lost:
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "application/json"
        properties.UserProperty = ("schema", schema)
        if expiry:
            properties.MessageExpiryInterval = expiry
        self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)

    def wake(self) -> None:
        """Make a waiting :meth:`poll` return. May be called from any thread."""
        # A full buffer means that a wake-up is already on its way; a closed one that there is nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_there.send(b"!")

    def close(self) -> None:
        """Say goodbye if the connection stands, and free everything."""
        if not self._lost:
            deadline = time.monotonic() + 1.0
            while self._client.want_write() and time.monotonic() < deadline and not self._lost:
                self.poll(0.05)
            self._client.disconnect()
        self._client.on_disconnect = None
        self._selector.close()
        self._wake_here.close()
        self._wake_there.close()

    def _prepare(self, config: Config) -> mqtt.Client:
        settings = config.mqtt
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, config.collector.client_id, protocol=mqtt.MQTTv5, manual_ack=True
        )
        client.connect_timeout = PATIENCE
        client.max_inflight_messages = 1000
        if settings.tls is not None:
            client.tls_set_context(_tls_context(settings.tls))
        if settings.username or settings.password_file:
            client.username_pw_set(settings.username or config.collector.client_id, _password(settings.password_file))
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _open(self, config: Config) -> None:
        settings = config.mqtt
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION
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
        self._selector.register(sock, selectors.EVENT_READ)
        deadline = time.monotonic() + PATIENCE
        waiting: list[Message] = []
        while not self._subscribed:
            if self._lost:
                raise ConnectionError(self._lost)
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer from the broker in {PATIENCE:.0f} s")
            waiting += self.poll(0.5)
        self._messages = waiting  # a kept session delivers before the subscription is confirmed

    def _read(self) -> None:
        # loop_read handles one packet a call; go on while packets come, so that one wait serves many of them.
        while not self._lost:
            before = len(self._messages)
            self._client.loop_read()
            sock = self._client.socket()
            if sock is None or (len(self._messages) == before and not _pending(sock)) or self._bytes >= AT_ONCE:
                return

    def _on_connect(
        self, client: mqtt.Client, _userdata: object, _flags: mqtt.ConnectFlags, code: ReasonCode, _properties: object
    ) -> None:
        if code.is_failure:
            self._lost = f"the broker refused: {code}"
            return
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in TOPICS])
        # A broker may keep its log to itself: its answer to this one is not waited for.
        _, self._log_mid = client.subscribe(BROKER_LOG, options=SubscribeOptions(qos=0))

    def _on_subscribe(
        self, _client: mqtt.Client, _userdata: object, mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        if mid == self._log_mid:
            return
        if any(code.is_failure for code in codes):
            self._lost = f"the broker refused a subscription: {', '.join(str(code) for code in codes)}"
        self._subscribed = True

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._bytes += len(message.payload)
        self._messages.append(Message(topic, bytes(message.payload), message.mid, message.qos, self.epoch))

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        self._lost = self._lost or f"connection lost: {code}"


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
