"""What the daemon's parts know of a connection to a broker: what happens on it, and how one is made.

paho takes 2 MB and some tenths of a second on a small board: it is loaded when a broker is dialled, and never where
there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

import msgspec

from probe.model.config import MqttConfig

if TYPE_CHECKING:
    from probe.agent.connection import Connection


class Message(msgspec.Struct, frozen=True):
    """A message arrived."""

    topic: str
    payload: bytes
    retained: bool


class Acknowledged(msgspec.Struct, frozen=True):
    """The broker's PUBACK. ``failure`` is its reason for having refused, or empty."""

    mid: int
    failure: str


class Subscribed(msgspec.Struct, frozen=True):
    """The broker's SUBACK. ``failure`` is its reason for having refused, or empty."""

    failure: str


class Closed(msgspec.Struct, frozen=True):
    """The connection is gone."""

    reason: str


class Woken(msgspec.Struct, frozen=True):
    """Somebody in this process wants the reader of the inbox to look round."""


Event = Message | Acknowledged | Subscribed | Closed | Woken


class Will(msgspec.Struct, frozen=True):
    """What the broker says for us, retained, when we vanish."""

    topic: str
    payload: bytes


class Kind(msgspec.Struct, frozen=True):
    """What a message is (MQTT 5): content type, user property ``schema``, and for how many seconds the broker keeps it
    for who is away (0: for good)."""

    content_type: str
    schema: str
    expiry: int = 0


class Dial(Protocol):
    """How a connection is made; :func:`dial` is one."""

    def __call__(self, config: MqttConfig, client_id: str, username: str, will: Will | None) -> Awaitable[Connection]:
        """A new connection, or OSError."""


async def dial(config: MqttConfig, client_id: str, username: str, will: Will | None) -> Connection:
    """As :func:`probe.agent.connection.connect`."""
    from probe.agent.connection import connect

    return await connect(config, client_id, username, will)
