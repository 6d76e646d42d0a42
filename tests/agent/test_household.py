"""The household's connection against a real Mosquitto: what is kept there, and that it comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from probe.agent.backoff import Backoff
from probe.agent.homeassistant import Topics
from probe.agent.household import Household
from probe.model.config import HomeAssistantConfig
from tests.agent.conftest import PROBE, eventually, make_finding, until

if TYPE_CHECKING:
    from tests.agent.conftest import Broker

pytestmark = pytest.mark.loopback
TOPICS = Topics.of(PROBE, "homeassistant")


class Home:
    """A stand-in for Home Assistant: remembers the last message on each topic, retained or not."""

    def __init__(self, port: int) -> None:
        self.last: dict[str, bytes] = {}
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._hear
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        eventually(self._client.is_connected, what="Home Assistant is connected")

    def _hear(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.last[message.topic] = bytes(message.payload)

    def state(self) -> dict[str, Any]:
        told: dict[str, Any] = msgspec.json.decode(self.last.get(TOPICS.state, b"{}"))
        return told

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def play(port: int, scene: Callable[[Household, asyncio.Task[None]], Awaitable[None]]) -> None:
    async def main() -> None:
        config = HomeAssistantConfig(host="127.0.0.1", port=port)
        household = Household(config, PROBE, "colibri 0.1.0", backoff=Backoff(Random(1), first=0.05, most=0.2))
        task = asyncio.create_task(household.run())
        try:
            await scene(household, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_it_is_found_told_and_says_goodbye(broker: Broker) -> None:
    home = Home(broker.port)

    async def scene(household: Household, _: asyncio.Task[None]) -> None:
        household.note(make_finding(1))  # before there is a connection
        await until(lambda: home.state().get("measured") == 1)
        assert msgspec.json.decode(home.last[TOPICS.discovery])["state_topic"] == TOPICS.state
        assert home.last[TOPICS.availability] == b"online"
        household.note(make_finding(2, "interfered"))
        await until(lambda: home.state()["interfered"] == 1)

    play(broker.port, scene)
    eventually(lambda: home.last[TOPICS.availability] == b"offline")
    home.close()
    late = Home(broker.port)
    eventually(lambda: set(late.last) == {TOPICS.discovery, TOPICS.availability, TOPICS.state}, what="all is retained")
    late.close()


def test_a_broker_that_is_away_is_waited_for(broker: Broker) -> None:
    broker.stop()

    async def scene(household: Household, task: asyncio.Task[None]) -> None:
        household.note(make_finding(2, "interfered"))
        await asyncio.sleep(0.2)
        assert not task.done()
        await asyncio.to_thread(broker.start)
        home = await asyncio.to_thread(Home, broker.port)
        try:
            await until(lambda: home.state().get("interfered") == 1)
            await asyncio.to_thread(broker.stop, signal.SIGKILL)
            home.last.clear()
            await asyncio.to_thread(broker.start)
            await until(lambda: home.state().get("interfered") == 1)
        finally:
            home.close()

    play(broker.port, scene)
