"""Listening: what arrives, until when, and why it ended."""

from __future__ import annotations

import asyncio

import pytest

from probe.agent.connection import Message, connect
from probe.agent.listen import FINDINGS, listen
from probe.model import feed
from probe.model.config import MqttConfig
from probe.model.errors import CannotMeasure, UsageError
from tests.agent.conftest import Broker

pytestmark = pytest.mark.loopback


async def collected(config: MqttConfig, topic: str, seconds: float | None) -> list[Message]:
    return [message async for message in listen(config, "me", topic, seconds)]


def test_findings_of_every_probe_arrive_until_the_time_is_over(broker: Broker) -> None:
    config = MqttConfig(host="127.0.0.1", port=broker.port)

    async def scene() -> list[Message]:
        publisher = await connect(config, "p", "p")
        listening = asyncio.create_task(collected(config, FINDINGS, 1.0))
        await asyncio.sleep(0.3)
        for probe in ("p-1", "p-2"):
            publisher.publish(feed.finding(probe, "dns_injection"), b"{}")
        publisher.publish(feed.info("p-1"), b"not a finding")
        got = await listening
        await publisher.close()
        return got

    got = asyncio.run(scene())
    assert [message.topic for message in got] == [feed.finding(p, "dns_injection") for p in ("p-1", "p-2")]


def test_retained_messages_come_first(broker: Broker) -> None:
    config = MqttConfig(host="127.0.0.1", port=broker.port)

    async def scene() -> Message:
        publisher = await connect(config, "p", "p")
        publisher.publish("t", b"kept", retain=True)
        await publisher.close()
        async for message in listen(config, "me", "#", None):
            return message
        raise AssertionError

    assert asyncio.run(scene()) == Message("t", b"kept", retained=True)


def test_a_broker_that_is_not_there_or_goes_is_told(broker: Broker) -> None:
    config = MqttConfig(host="127.0.0.1", port=broker.port)

    async def scene() -> None:
        listening = asyncio.create_task(collected(config, "#", None))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(broker.stop)
        with pytest.raises(CannotMeasure, match="is lost"):
            await listening
        with pytest.raises(CannotMeasure, match="no connection to the broker"):
            await collected(config, "#", None)

    asyncio.run(scene())


def test_a_wrong_filter_is_told(broker: Broker) -> None:
    with pytest.raises(UsageError, match="'a/#/b' is not a topic filter"):
        asyncio.run(collected(MqttConfig(host="127.0.0.1", port=broker.port), "a/#/b", 2.0))
