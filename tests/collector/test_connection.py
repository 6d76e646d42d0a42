"""One connection to a real broker."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector.connection import Connection, Message
from probe.model import feed
from probe.model.config import Config, MqttConfig, TlsConfig
from probe.model.errors import ConfigError

if TYPE_CHECKING:
    from tests.collector.conftest import Broker, FakeProbe, Uplink

pytestmark = pytest.mark.loopback


@pytest.fixture
def connect(settings: Config) -> Iterator[Callable[..., Connection]]:
    opened: list[Connection] = []

    def make(epoch: int = 1) -> Connection:
        opened.append(Connection(settings, epoch))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


def take(connection: Connection, count: int) -> list[Message]:
    """Poll until that many messages came, or until nothing comes for a second."""
    messages: list[Message] = []
    while len(messages) < count:
        arrived = connection.poll(1.0)
        if not arrived and connection.lost:
            break
        messages += arrived
    return messages


def test_what_a_probe_sends_arrives_with_its_topic(
    uplink: Uplink, connect: Callable[..., Connection], probes: Callable[..., FakeProbe]
) -> None:
    connection = connect(epoch=7)
    finding = probes().finding()
    uplink.send(finding)
    (message,) = take(connection, 1)
    assert message.topic == feed.finding("p-one", "dns_injection")
    assert msgspec.json.decode(message.payload)["id"] == finding.id
    assert (message.qos, message.epoch) == (1, 7)


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(
    uplink: Uplink, connect: Callable[..., Connection]
) -> None:
    first = connect(epoch=1)
    uplink.publish(feed.info("p-one"), b"one")
    uplink.publish(feed.info("p-one"), b"two")
    one, _two = take(first, 2)
    first.acknowledge(one)
    first.close()
    second = connect(epoch=2)
    assert [m.payload for m in take(second, 1)] == [b"two"]


def test_an_acknowledgement_is_never_sent_on_a_later_connection(
    uplink: Uplink, connect: Callable[..., Connection]
) -> None:
    first = connect(epoch=1)
    uplink.publish(feed.info("p-one"), b"kept")
    (early,) = take(first, 1)
    first.close()
    second = connect(epoch=2)
    (again,) = take(second, 1)
    assert again.mid == early.mid, "the very number that a stale acknowledgement would hit"
    second.acknowledge(early)
    assert second.stale_acks == 1
    second.close()
    assert [m.payload for m in take(connect(epoch=3), 1)] == [b"kept"]


def test_messages_wait_at_the_broker_while_the_collector_is_away(
    uplink: Uplink, connect: Callable[..., Connection], until: Callable[..., None]
) -> None:
    connect(epoch=1).close()
    for number in range(50):
        uplink.publish(feed.info("p-one"), b"%d" % number)
    assert [m.payload for m in take(connect(epoch=2), 50)] == [b"%d" % n for n in range(50)]


def test_a_broker_that_dies_is_noticed(broker: Broker, connect: Callable[..., Connection]) -> None:
    connection = connect()
    assert connection.lost == ""
    broker.stop(hard=True)
    while not connection.lost:
        connection.poll(1.0)
    assert "connection lost" in connection.lost
    assert connection.poll(0) == []


def test_no_broker_is_an_oserror(settings: Config, broker: Broker) -> None:
    broker.stop()
    with pytest.raises(OSError, match=r"refused"):
        Connection(settings, 1)


def test_a_server_that_is_no_broker_is_an_oserror(settings: Config) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        config = msgspec.structs.replace(settings, mqtt=MqttConfig(host="127.0.0.1", port=server.getsockname()[1]))
        server.settimeout(5)

        def hang_up() -> None:
            peer, _ = server.accept()
            peer.recv(100)
            peer.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(OSError, match=r"lost|closed"):
            Connection(config, 1)
        thread.join(5)


def test_tls_files_that_are_missing_name_the_section(settings: Config) -> None:
    mqtt = MqttConfig(host="127.0.0.1", port=1, tls=TlsConfig(ca="/nonexistent/ca.pem"))
    with pytest.raises(ConfigError, match=r"mqtt\.tls"):
        Connection(msgspec.structs.replace(settings, mqtt=mqtt), 1)
    mqtt = MqttConfig(host="127.0.0.1", port=1, password_file="/nonexistent/password")
    with pytest.raises(ConfigError, match=r"mqtt\.password_file"):
        Connection(msgspec.structs.replace(settings, mqtt=mqtt), 1)


def test_wake_ends_a_wait_from_another_thread(connect: Callable[..., Connection]) -> None:
    connection = connect()
    timer = threading.Timer(0.05, connection.wake)
    timer.start()
    began = time.monotonic()
    connection.poll(20.0)
    assert time.monotonic() - began < 10
    timer.join()


def test_collectors_of_a_group_share_the_findings_and_each_hears_who_is_there(
    uplink: Uplink, settings: Config, probes: Callable[..., FakeProbe]
) -> None:
    group = [
        Connection(msgspec.structs.replace(
            settings, collector=msgspec.structs.replace(settings.collector, share="colibri", client_id=f"c-{number}")
        ), 1) for number in range(2)
    ]  # fmt: skip
    try:
        findings = [probes().finding() for _ in range(20)]
        uplink.send(*findings)
        uplink.publish(feed.availability("p-one"), b"online")
        heard = [take(connection, 11) for connection in group]
    finally:
        for connection in group:
            connection.close()
    told = [[m for m in messages if m.topic == feed.availability("p-one")] for messages in heard]
    assert [len(one) for one in told] == [1, 1]
    ids = [msgspec.json.decode(m.payload)["id"] for some in heard for m in some if "/finding/" in m.topic]
    assert sorted(ids) == sorted(finding.id for finding in findings), "each once"
    assert all(len(some) > 1 for some in heard)
