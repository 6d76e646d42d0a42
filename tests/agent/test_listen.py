"""Listening: what arrives, until when, and why it ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from probe.agent.connection import connect
from probe.agent.link import Message
from probe.agent.listen import FINDINGS, common_name, listen, must_be_a_reader_s
from probe.model import feed
from probe.model.config import Config, MqttConfig, ProbeConfig, TlsConfig
from probe.model.errors import CannotMeasure, ConfigError, UsageError
from tests.agent.conftest import Broker
from tests.agent.test_connection import Certificates

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


def with_certificate(folder: Path, name: str, probe: str = "") -> Config:
    (folder / "state").mkdir(exist_ok=True)
    certificate, key = Certificates(folder).issue(name)
    tls = TlsConfig(certificate=certificate, key=key)
    return Config(probe=ProbeConfig(id=probe, state_dir=str(folder / "state")), mqtt=MqttConfig(tls=tls))


@pytest.mark.parametrize("name", ["p-configured", "p-kept", "p-enrolled", "collector", "bridge"])
def test_the_certificate_of_one_who_publishes_is_refused(tmp_path: Path, name: str) -> None:
    config = with_certificate(tmp_path, name, "p-configured")
    (tmp_path / "state/probe-id").write_text("p-kept\n")
    (tmp_path / "state/enrol").mkdir()
    (tmp_path / "state/enrol/identity.pem").touch()
    (tmp_path / "state/enrol/enrolled.json").write_text('{"name": "p-enrolled", "server": "https://x.example"}')
    with pytest.raises(CannotMeasure, match=f"{name}.crt is {name}'s own.*docs/feed.md"):
        must_be_a_reader_s(config)


@pytest.mark.parametrize("name", ["jane", "operator"])
def test_a_reader_s_certificate_and_none_are_fine(tmp_path: Path, name: str) -> None:
    config = with_certificate(tmp_path, name)
    must_be_a_reader_s(config)
    assert common_name(config.mqtt.tls.certificate if config.mqtt.tls else "") == name
    must_be_a_reader_s(Config())
    must_be_a_reader_s(Config(mqtt=MqttConfig(tls=TlsConfig())))


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("no certificate")
    for path in (tmp_path / "c.pem", tmp_path / "none.pem"):
        with pytest.raises(ConfigError, match=f"mqtt.tls.certificate.*{path.name} can't be read"):
            must_be_a_reader_s(Config(mqtt=MqttConfig(tls=TlsConfig(certificate=str(path)))))
