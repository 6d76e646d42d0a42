"""A session: everything wired for one configuration, begun and ended, with what it tells of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from probe.agent import choices
from probe.agent.control import MeasureRequest, PauseRequest, ResumeRequest, StatusRequest, ask
from probe.agent.pause import Pause, PausedError
from probe.agent.session import Session, TaskDiedError
from probe.agent.spool import Entry, Spool
from probe.model import feed
from probe.model.canonical import verify
from probe.model.config import (
    Config,
    ControlConfig,
    HomeAssistantConfig,
    LineConfig,
    MqttConfig,
    ProbeConfig,
    SafetyConfig,
    ScheduleConfig,
    TargetEntry,
)
from probe.model.errors import CannotMeasure, ConfigError
from probe.model.finding import Finding
from probe.model.home import Category, Change, HomeRequest, Look, View
from tests.agent.conftest import PROBE, Broker, FakeCollector, make_finding, until
from tests.agent.fake_daemon import make_runner

pytestmark = pytest.mark.loopback


def config(folder: Path, **changes: Any) -> Config:
    base = Config(
        probe=ProbeConfig(id=PROBE, state_dir=str(folder / "state")),
        line=LineConfig(operator="Operator A", country="MA"),
        control=ControlConfig(socket=str(folder / "control")),
        safety=SafetyConfig(target_spacing=0.0),
        schedule=ScheduleConfig(every=1.0),
    )
    return msgspec.structs.replace(base, **changes)


def targets(*names: str) -> list[TargetEntry]:
    return [TargetEntry(name, group="g", measurements=["dns_injection"]) for name in names]


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


async def status(folder: Path) -> dict[str, Any]:
    (answer,) = [a async for a in ask(folder / "control", StatusRequest())]
    return answer


def test_a_paused_probe_says_so_and_sends_nothing_it_found(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    async def scene() -> None:
        wired = config(tmp_path, mqtt=MqttConfig(host="127.0.0.1", port=broker.port))
        async with Session(wired, targets("a"), make_runner):
            await until(lambda: collector.on(FINDINGS))
            (held,) = [a async for a in ask(tmp_path / "control", PauseRequest())]
            assert list(held["paused"]) == ["home"]
            await until(lambda: info(collector)["paused"])
            refused = [a async for a in ask(tmp_path / "control", MeasureRequest("dns_injection", {"target": "b"}))]
            assert refused == [{"error": "the probe is paused (colibri resume)", "exit_status": 1}]
            before = len(collector.on(FINDINGS))
        # Over the restart, with a finding that waits.
        spool = Spool(tmp_path / "state/spool.sqlite3", 1 << 24)
        spool.add([Entry(WAITING.id, "dns_injection", "clean", msgspec.json.encode(WAITING), 0.0)])
        spool.close()
        heartbeats = len(collector.on(feed.heartbeat(PROBE)))
        async with Session(wired, targets("a"), make_runner) as session:
            await until(lambda: len(collector.on(feed.heartbeat(PROBE))) > heartbeats)
            assert "PAUSED by the home" in session.summary()
            await asyncio.sleep(0.3)
            assert len(collector.on(FINDINGS)) == before
            assert [a async for a in ask(tmp_path / "control", ResumeRequest())] == [{"paused": {}}]
            await until(lambda: WAITING.id in collector.stored())
            await until(lambda: not info(collector)["paused"])

    run(scene)


def info(collector: FakeCollector) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(collector.on(feed.info(PROBE))[-1])
    return told


WAITING = make_finding(77)
FINDINGS = feed.finding(PROBE, "dns_injection")


def test_one_round_of_a_paused_probe_is_refused(tmp_path: Path) -> None:
    Pause(tmp_path / "state").hold("home")

    async def scene() -> None:
        with pytest.raises(PausedError):
            async with Session(config(tmp_path), targets("a"), make_runner, once=True):
                raise AssertionError

    run(scene)


def test_the_home_s_page_is_told_and_its_choices_are_taken_up(tmp_path: Path) -> None:
    reloads: list[str] = []
    entries = [*targets("interfered"), TargetEntry("b", category="politics", measurements=["dns_injection"])]

    async def page(request: HomeRequest) -> Any:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "page.sock")
        writer.write(msgspec.json.encode(request) + b"\n")
        answer = await reader.read()
        writer.close()
        return msgspec.json.decode(answer)

    async def scene() -> None:
        reload = lambda: reloads.append("reload")  # noqa: E731
        async with Session(config(tmp_path), entries, make_runner, reload=reload):
            told = msgspec.convert(await page(Look()), View)
            assert (told.probe, told.planned, told.feed) == (PROBE, 1, "none")
            assert told.categories == [Category("politics", 1, on=False)]
            await status(tmp_path)
            async with asyncio.timeout(30):
                while not told.findings:
                    await asyncio.sleep(0.02)
                    told = msgspec.convert(await page(Look()), View)
            (found,) = told.findings
            assert (found.target, found.verdict) == ("interfered", "interfered")
            code = tmp_path / "state/page-code"
            assert not code.exists()
            assert await page(Change(code="wrong", categories={"politics": True})) == {"refused": "code", "wait_s": 0.0}
            change = Change(code=code.read_text(), categories={"politics": True})
            assert await page(change) == {"refused": "", "wait_s": 0.0}
        assert reloads == ["reload"]
        # What was found is there after the restart; what was chosen goes over the configuration.
        async with Session(choices.applied(config(tmp_path)), entries, make_runner):
            told = msgspec.convert(await page(Look()), View)
            assert told.planned == 2
            assert told.categories == [Category("politics", 1, on=True)]
            assert "interfered" in {found.target for found in told.findings}

    run(scene)


def test_from_the_plan_over_the_feed_to_the_collector(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    shown: list[Finding] = []

    async def scene() -> None:
        mqtt = MqttConfig(host="127.0.0.1", port=broker.port)
        wired = config(tmp_path, mqtt=mqtt)
        async with Session(wired, targets("a", "interfered", "fails"), make_runner, show=shown.append) as session:
            await until(lambda: len(collector.stored()) >= 4)
            told = await status(tmp_path)
            assert told["probe"] == PROBE
            assert told["feed"] == {"host": "127.0.0.1", "connected": True, "trouble": ""}
            assert told["counts"]["failed"] >= 1
            assert told["counts"]["interfered"] >= 1
            assert told["planned"] == 3
            assert {job["target"] for job in told["next"]} <= {"a", "interfered", "fails"}
            assert told["stalled"] == []
            assert "feed connected" in session.summary()

    run(scene)
    stored = collector.stored()
    assert {finding.id for finding in shown} >= stored.keys()
    for body in stored.values():
        assert verify(msgspec.json.decode(body))
        finding = msgspec.json.decode(body, type=Finding)
        assert (finding.line.operator, finding.target.group) == ("Operator A", "g")
    info = msgspec.json.decode(collector.on(feed.info(PROBE))[0], type=feed.Info)
    assert "dns_injection" in info.measurements
    assert info.line.country == "MA"
    interfered = next(f for f in shown if f.verdict == "interfered" and f.id in stored)
    assert len(collector.on(feed.evidence(PROBE, interfered.id))) == 1


def test_the_household_is_told_if_it_is_configured(tmp_path: Path, broker: Broker) -> None:
    heard: dict[str, bytes] = {}
    home = Client(CallbackAPIVersion.VERSION2)
    home.on_connect = lambda client, *_: client.subscribe("#", qos=1)
    home.on_message = lambda _client, _data, message: heard.update({message.topic: bytes(message.payload)})
    home.connect("127.0.0.1", broker.port)
    home.loop_start()

    async def scene() -> None:
        wired = config(tmp_path, homeassistant=HomeAssistantConfig(host="127.0.0.1", port=broker.port))
        async with Session(wired, targets("interfered"), make_runner):
            await until(lambda: b'"interfered":1' in heard.get(f"colibri/home/{PROBE}/state", b""))

    run(scene)
    assert f"homeassistant/device/colibri_{PROBE}/config" in heard
    home.disconnect()
    home.loop_stop()


def test_an_ad_hoc_run_answers_and_stays_on_the_device_unless_asked_otherwise(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Session(config(tmp_path), [], make_runner):
            request = MeasureRequest("dns_injection", {"target": "interfered"})
            *progress, last = [a async for a in ask(tmp_path / "control", request)]
            assert progress == [{"progress": "asking for interfered"}]
            assert last["finding"]["verdict"] == "interfered"
            assert verify(last["finding"])
            assert (await status(tmp_path))["spool"]["depth"] == 0
            request = MeasureRequest("dns_injection", {"target": "fails"})
            *_, last = [a async for a in ask(tmp_path / "control", request)]
            assert last == {"error": "no route (plug it in)", "exit_status": 1}
            request = MeasureRequest("dns_injection", {"target": "a"}, publish=True)
            assert [a async for a in ask(tmp_path / "control", request)][-1]["finding"]["verdict"] == "clean"
            assert (await status(tmp_path))["spool"]["depth"] == 1

    run(scene)


def test_once_ends_after_one_round(tmp_path: Path) -> None:
    shown: list[Finding] = []

    async def scene() -> None:
        names = targets("a", "b", "fails")
        async with Session(config(tmp_path), names, make_runner, once=True, show=shown.append) as session:
            await session.wait()
            assert session.attempts == {"clean": 2, "failed": 1}
        assert not (tmp_path / "control").exists()

    run(scene)
    assert sorted(finding.target.input for finding in shown) == ["a", "b"]
    spool = Spool(tmp_path / "state" / "spool.sqlite3", 1 << 20)
    assert spool.depth == 2
    spool.close()


def test_a_part_that_dies_is_named_with_its_reason(tmp_path: Path) -> None:
    def fail(_finding: Finding) -> None:
        raise OSError("the disk is full")

    async def scene() -> None:
        async with Session(config(tmp_path), targets("a"), make_runner, show=fail) as session:
            with pytest.raises(TaskDiedError, match="the worker died: OSError: the disk is full"):
                await session.wait()

    run(scene)


def test_only_one_daemon_uses_a_state_folder(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Session(config(tmp_path), [], make_runner):
            with pytest.raises(CannotMeasure, match="another daemon uses"):
                async with Session(config(tmp_path), [], make_runner):
                    pass
        async with Session(config(tmp_path), [], make_runner):
            pass

    run(scene)


def test_a_folder_that_cannot_be_used_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def enter(wired: Config) -> None:
        async with Session(wired, [], make_runner):
            pass

    state = msgspec.structs.replace(config(tmp_path), probe=ProbeConfig(state_dir=str(tmp_path / "file" / "x")))
    with pytest.raises(ConfigError, match=r"probe\.state_dir"):
        asyncio.run(enter(state))
    socket = msgspec.structs.replace(config(tmp_path), control=ControlConfig(socket=str(tmp_path / "file" / "x")))
    with pytest.raises(ConfigError, match=r"control\.socket"):
        asyncio.run(enter(socket))


def test_a_restart_keeps_the_rhythm(tmp_path: Path) -> None:
    async def scene() -> None:
        slow = config(tmp_path, schedule=ScheduleConfig(every=1000.0, jitter=0.0))
        async with Session(slow, targets("a"), make_runner, once=True) as session:
            await session.wait()
        async with Session(slow, targets("a"), make_runner):
            ((upcoming,), counts) = (await status(tmp_path))["next"], (await status(tmp_path))["counts"]
            assert 900 < upcoming["in_s"] <= 1000
            assert counts == {}

    run(scene)


def test_a_signed_heartbeat_tells_that_the_probe_lives_whatever_it_measures(
    tmp_path: Path, broker: Broker, collector: FakeCollector
) -> None:
    async def scene() -> None:
        wired = config(tmp_path, mqtt=MqttConfig(host="127.0.0.1", port=broker.port))
        for _ in range(2):
            before = len(collector.on(feed.heartbeat(PROBE)))
            async with Session(wired, [], make_runner):
                await until(lambda n=before: len(collector.on(feed.heartbeat(PROBE))) > n)  # type: ignore[misc]

    run(scene)
    told = [msgspec.json.decode(body) for body in collector.on(feed.heartbeat(PROBE))]
    assert all(verify(one) for one in told)
    assert {(one["sequence"], one["measured"], one["probe"]) for one in told} == {(0, 0, PROBE)}
    assert len({one["run"] for one in told}) == 2, "each start is another run"


def test_one_round_makes_no_heartbeat(tmp_path: Path, broker: Broker, collector: FakeCollector) -> None:
    async def scene() -> None:
        wired = config(tmp_path, mqtt=MqttConfig(host="127.0.0.1", port=broker.port))
        async with Session(wired, targets("a"), make_runner, once=True) as session:
            await session.wait()

    run(scene)
    assert collector.on(FINDINGS)
    assert collector.on(feed.heartbeat(PROBE)) == []
