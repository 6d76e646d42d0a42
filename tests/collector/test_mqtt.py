"""Packets against paho's own, and whatever else may come."""

from __future__ import annotations

import contextlib
import socket
import struct

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from probe.collector import mqtt
from probe.model.errors import MalformedRecord

LARGEST = 100_000
TOPICS = st.text(st.characters(exclude_characters="+#\x00", exclude_categories=["Cs"]), min_size=1, max_size=200)


def length(value: int) -> bytes:
    raw = b""
    while True:
        value, byte = divmod(value, 128)
        raw += bytes([byte | (0x80 if value else 0)])
        if not value:
            return raw


def message(topic: bytes, payload: bytes, mid: int, qos: int, about: bytes = b"") -> bytes:
    """As the standard has it (3.3), written down apart from the code."""
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", mid) if qos else b"") + length(len(about)) + about
    return bytes([0x30 | qos << 1]) + length(len(body) + len(payload)) + body + payload


class Listener:
    """What a paho client understands of bytes that a broker would send to it."""

    def __init__(self) -> None:
        self.heard: list[paho.MQTTMessage] = []
        here, self._there = socket.socketpair()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "x", protocol=paho.MQTTv5, manual_ack=True)
        self._client.on_message = lambda _client, _data, heard: self.heard.append(heard)
        self._client._sock = here
        here.setblocking(False)

    def take(self, data: bytes) -> list[paho.MQTTMessage]:
        self._there.sendall(data)
        self._client.loop_read()
        return self.heard

    def close(self) -> None:
        self._there.close()
        sock = self._client.socket()
        if sock is not None:
            sock.close()


@given(TOPICS, st.binary(max_size=300), st.integers(1, 65535), st.booleans(), st.integers(0, 2**32 - 1))
def test_what_we_publish_is_what_paho_reads(topic: str, payload: bytes, mid: int, retain: bool, expiry: int) -> None:
    about = mqtt.properties("application/json", "colibri.stored/1", expiry)
    listener = Listener()
    (heard,) = listener.take(mqtt.publication(topic, payload, mid, about, retain=retain))
    listener.close()
    assert (heard.topic, heard.payload, heard.mid, heard.qos, heard.retain) == (topic, payload, mid, 1, retain)
    assert heard.properties is not None
    expected: dict[str, object] = {"ContentType": "application/json", "UserProperty": [("schema", "colibri.stored/1")]}
    if expiry:
        expected["MessageExpiryInterval"] = expiry
    told = {name: getattr(heard.properties, name) for name in expected}
    assert told == expected


@given(
    st.lists(st.tuples(TOPICS, st.binary(max_size=400), st.integers(1, 65535), st.sampled_from([0, 1])), max_size=6),
    st.lists(st.integers(1, 500), max_size=20), st.booleans(),
)  # fmt: skip
def test_messages_arrive_however_they_are_cut(
    sent: list[tuple[str, bytes, int, int]], cuts: list[int], with_properties: bool
) -> None:
    about = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    about.UserProperty = ("schema", "x" * 150)
    packed: bytes = about.pack()  # type: ignore[no-untyped-call]
    inside = packed[2:] if with_properties else b""  # its length is of two bytes
    data = b"".join(message(topic.encode(), payload, mid, qos, inside) for topic, payload, mid, qos in sent)
    stream, found = mqtt.Stream(LARGEST), list[mqtt.Event]()
    for cut in cuts:
        found += stream.feed(data[:cut])
        data = data[cut:]
    found += stream.feed(data)
    assert found == [mqtt.Published(topic, payload, mid if qos else 0, qos) for topic, payload, mid, qos in sent]


def test_byte_by_byte_with_the_other_packets_in_between() -> None:
    data = (
        message(b"t", b"p" * 300, 7, 1) + b"\x40\x02\x00\x09" + b"\xd0\x00" + b"\x40\x03\x00\x0a\x10"
        + b"\x90\x05\x00\x01\x00\x01\x87" + b"\x90\x04\x00\x02\x00\x00" + b"\xe0\x01\x8b" + b"\xe0\x00"
    )  # fmt: skip
    expected = [
        mqtt.Published("t", b"p" * 300, 7, 1), mqtt.Acknowledged(9), mqtt.Alive(), mqtt.Acknowledged(10),
        mqtt.Subscribed(1, 0x87), mqtt.Subscribed(2, 0), mqtt.Farewell(0x8B), mqtt.Farewell(0),
    ]  # fmt: skip
    assert mqtt.Stream(LARGEST).feed(data) == expected
    stream, found = mqtt.Stream(LARGEST), list[mqtt.Event]()
    for n in range(len(data)):
        found += stream.feed(data[n : n + 1])
    assert found == expected


def test_a_topic_that_is_no_text_is_empty() -> None:
    assert mqtt.Stream(LARGEST).feed(message(b"\xff\xfe", b"p", 7, 1)) == [mqtt.Published("", b"p", 7, 1)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f", b"\x32\x02\x00\x50", b"\x36\x05\x00\x01t\x00\x00",
        b"\x40\x01\x00", b"\x32\x05\x00\x01t\x00\x01", b"\x10\x00", b"\xf0\x00", b"\x32\x00",
        b"\x32\x06\x00\x01t\x00\x01\x09", b"\x90\x01\x00",
    ],
    ids=["length of five", "too large", "topic beyond", "QoS 3", "empty ack", "no properties", "CONNECT", "AUTH",
         "empty", "properties beyond", "empty SUBACK"],
)  # fmt: skip
def test_what_no_broker_sends_ends_the_stream(data: bytes) -> None:
    with pytest.raises(MalformedRecord, match="the broker"):
        mqtt.Stream(LARGEST).feed(data)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_nothing_that_arrives_raises_anything_else(parts: list[bytes]) -> None:
    stream = mqtt.Stream(1000)
    with contextlib.suppress(MalformedRecord):
        for part in parts:
            assert isinstance(stream.feed(part), list)


def test_a_large_packet_in_small_pieces_is_put_together_once() -> None:
    stream = mqtt.Stream(20_000_000)
    data = message(b"t", bytes(10_000_000), 1, 1)
    found = [event for at in range(0, len(data), 4096) for event in stream.feed(data[at : at + 4096])]
    assert [len(one.payload) for one in found if isinstance(one, mqtt.Published)] == [10_000_000]
