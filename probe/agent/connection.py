"""One connection to the broker: paho driven by the running event loop, with no thread of paho's.

A connection is used once; after a loss a new one is made (and filled again from the spool), because paho's own queue
has no bound and its message ids mean nothing on the next connection. paho calls back while it holds locks that
``publish`` takes too, and an exception in a callback would leave its loop: so callbacks do nothing but put a value
into :attr:`Connection.inbox`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from probe.agent.link import Acknowledged, Closed, Event, Kind, Message, Subscribed, Will, Woken
from probe.agent.threads import in_thread
from probe.agent.tls_dates import forgive_dates
from probe.model.config import MqttConfig, TlsConfig

_DIAL_LIMIT = 60.0  # name resolution has no limit of its own
_HANDSHAKE_LIMIT = 15.0  # from the connection to the broker's CONNACK
_GOODBYE_LIMIT = 3.0
_SEND_AT_ONCE = 1000  # more than any window: the window is the publisher's


class Connection:
    """A connection that :func:`connect` has established. What happens on it comes out of ``inbox``."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self.largest = 268_435_455
        """Most bytes of a packet that the broker takes (MQTT 5, 3.2.2.3.6)."""
        self.outstanding: set[int] = set()
        """Message ids that the broker has not acknowledged."""
        self._accepted: asyncio.Future[str] = loop.create_future()
        self._closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, kind: Kind | None = None) -> int:
        """Send one message with QoS 1; returns the id that its :class:`Acknowledged` will bear."""
        properties = properties_for(kind) if kind is not None else None
        mid = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid
        self.outstanding.add(mid)
        return mid

    def subscribe(self, topic: str) -> None:
        """Ask for a topic with QoS 1; a :class:`Subscribed` will tell."""
        self._client.subscribe(topic, qos=1)

    def wake(self) -> None:
        """Put a :class:`Woken` into the inbox."""
        self.inbox.put_nowait(Woken())

    async def close(self) -> None:
        """Say goodbye (the will is then not sent) and close; after a few seconds without an answer, close anyway."""
        if not self._closed.is_set():
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_LIMIT):
                    await self._closed.wait()
        self.abort()

    def abort(self) -> None:
        """Close without a word (the broker then sends the will)."""
        if self._timer is not None:
            self._timer.cancel()
        sock = self._client.socket()
        # paho closes the socket once more when it is collected; by then this descriptor may be another's.
        self._client.on_socket_close = self._client.on_socket_unregister_write = None
        if sock is not None:
            self._forget(sock)
            sock.close()

    async def start(self) -> None:
        """Take over the socket that paho has opened and wait until the broker accepts.

        Raises ConnectionError with the broker's reason, or when it does not answer.
        """
        sock = self._client.socket()
        if sock is None:
            raise ConnectionError("the broker closed the connection at once")
        self._client.on_socket_close = lambda _c, _u, s: self._forget(s)
        self._client.on_socket_register_write = lambda _c, _u, s: self._loop.add_writer(s, self._client.loop_write)
        self._client.on_socket_unregister_write = lambda _c, _u, s: self._forget_writer(s)
        self._loop.add_reader(sock, self._read)
        self._client.loop_write()
        self._misc()
        try:
            async with asyncio.timeout(_HANDSHAKE_LIMIT):
                failure = await self._accepted
        except TimeoutError:
            failure = "no answer to CONNECT"
        except BaseException:
            self.abort()
            raise
        if failure:
            self.abort()
            raise ConnectionError(failure)

    def _read(self) -> None:
        while True:
            result = self._client.loop_read()
            sock = self._client.socket()
            # What TLS has already decrypted makes no socket readable: it has to be read now.
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS or not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                return

    def _misc(self) -> None:
        self._client.loop_misc()
        # A ping leaves within four thirds of the keep-alive: brokers wait one and a half (MQTT 5, 3.1.2.10).
        self._timer = self._loop.call_later(self._client.keepalive / 3, self._misc)

    def _forget(self, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _forget_writer(self, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _on_connect(self, _c: Client, _u: Any, _f: ConnectFlags, code: ReasonCode, p: Properties | None) -> None:
        self.largest = getattr(p, "MaximumPacketSize", self.largest)
        if not self._accepted.done():
            self._accepted.set_result(str(code) if code.is_failure else "")

    def _on_disconnect(
        self, _c: Client, _u: Any, _f: DisconnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        self._closed.set()
        if not self._accepted.done():
            self._accepted.set_result(f"closed before it was accepted: {code}")
        self.inbox.put_nowait(Closed(str(code)))

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        self.inbox.put_nowait(Message(message.topic, bytes(message.payload), message.retain))

    def _on_publish(self, _c: Client, _u: Any, mid: int, code: ReasonCode, _p: Properties) -> None:
        self.outstanding.discard(mid)
        self.inbox.put_nowait(Acknowledged(mid, str(code) if code.is_failure else ""))

    def _on_subscribe(
        self, _c: Client, _u: Any, _mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        self.inbox.put_nowait(Subscribed("; ".join(str(code) for code in codes if code.is_failure)))


async def connect(config: MqttConfig, client_id: str, username: str, will: Will | None = None) -> Connection:
    """Connect to the configured broker with MQTT 5 and a clean session. An empty ``client_id`` is the broker's choice.

    Raises OSError (ConnectionError, ssl.SSLError, socket.gaierror, TimeoutError among them) with a reason a person
    can act on.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(_SEND_AT_ONCE)
    if will is not None:
        client.will_set(will.topic, will.payload, qos=1, retain=True)
    connection = Connection(client, asyncio.get_running_loop())
    handover = _Handover()

    def dial() -> None:
        password = _first_line(config.password_file) if config.password_file else None
        client.username_pw_set(config.username or username, password)
        context = tls_context(config.tls) if config.tls is not None else None
        if context is not None:
            client.tls_set_context(context)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        port = config.port or (8883 if config.tls else 1883)
        try:
            client.connect(config.host, port, config.keepalive, clean_start=True, properties=properties)
        except BaseException:
            if context is not None and context.wrapped is not None:
                context.wrapped.close()  # paho leaves it open when the handshake fails
            raise
        if not handover.offer():
            client.disconnect()

    try:
        async with asyncio.timeout(_DIAL_LIMIT):
            await in_thread(dial, "mqtt-dial")  # names, connecting and TLS block in paho
    except BaseException:
        if handover.abandon():
            connection.abort()
        raise
    await connection.start()
    return connection


class _Handover:
    """Who closes what the dialling thread has opened, when nobody waits for it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offered = self._abandoned = False

    def offer(self) -> bool:
        """The thread has connected; False: nobody wants it, the thread has to close it."""
        with self._lock:
            self._offered = True
            return not self._abandoned

    def abandon(self) -> bool:
        """Nobody waits any more; True: the thread had connected before, and will not close it."""
        with self._lock:
            self._abandoned = True
            return self._offered


class TlsContext(ssl.SSLContext):
    """A context that knows the socket it has wrapped last."""

    wrapped: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As :meth:`ssl.SSLContext.wrap_socket`."""
        self.wrapped = super().wrap_socket(*args, **kwargs)
        return self.wrapped


def tls_context(config: TlsConfig) -> TlsContext:
    """TLS as configured, always verifying the broker. Raises OSError (ssl.SSLError) naming a file that is no good."""
    for path in filter(None, (config.ca, config.certificate, config.key)):
        Path(path).open("rb").close()  # ssl's own errors do not name the file
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and its name
    if config.ca:
        context.load_verify_locations(config.ca)
        forgive_dates(context)
    else:
        context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.certificate:
        context.load_cert_chain(config.certificate, config.key or None)
    return context


def properties_for(kind: Kind) -> Properties:
    """MQTT 5 properties of a message."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = kind.content_type
    properties.UserProperty = [("schema", kind.schema)]
    if kind.expiry:
        properties.MessageExpiryInterval = kind.expiry
    return properties


def _first_line(path: str) -> str:
    with Path(path).open(encoding="utf-8") as file:
        return file.readline().rstrip("\r\n")
