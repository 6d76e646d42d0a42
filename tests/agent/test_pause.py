"""Pause: who holds it, that it lasts, that it breaks off what is under way, and that in doubt nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.agent.paths import PAUSED
from probe.agent.pause import PausableRunner, Pause, PausedError
from probe.model.errors import CannotMeasure
from probe.model.home import Holder
from probe.model.outcome import Outcome
from tests.agent.fake_daemon import FakeRunner


def test_it_lasts_until_whoever_asked_for_it_resumes(tmp_path: Path) -> None:
    Pause(tmp_path, wall=lambda: 0.0).hold("home")
    assert Pause(tmp_path).on
    pause = Pause(tmp_path)
    assert pause.holders == {"home": "1970-01-01T00:00:00.000Z"}
    pause.release("home")
    assert not pause.on
    assert not Pause(tmp_path).on
    assert list(tmp_path.iterdir()) == []


def test_neither_can_lift_the_other_s(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.hold("home")
    pause.hold("operator")
    pause.release("home")
    assert list(Pause(tmp_path).holders) == ["operator"]
    pause.release("home")
    assert pause.on
    pause.release("operator")
    assert not pause.on


def test_to_hold_again_keeps_the_first_moment(tmp_path: Path) -> None:
    times = iter([0.0, 100.0])
    pause = Pause(tmp_path, wall=lambda: next(times))
    pause.hold("home")
    pause.hold("home")
    assert pause.holders == {"home": "1970-01-01T00:00:00.000Z"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"somebody": "2026-01-01T00:00:00.000Z"}', b'{"home": 1}'])
def test_a_file_that_cannot_be_read_is_a_pause(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PAUSED).write_bytes(content)
    pause = Pause(tmp_path)
    assert list(pause.holders) == ["home"]
    pause.release("home")
    assert not Pause(tmp_path).on


def test_a_resume_that_cannot_be_written_down_leaves_it_paused(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.hold("home")
    (tmp_path / PAUSED).unlink()
    (tmp_path / PAUSED).mkdir()  # nothing that can be unlinked
    with pytest.raises(OSError, match="paused"):
        pause.release("home")
    assert pause.on


def test_watchers_hear_of_each_change(tmp_path: Path) -> None:
    pause, heard = Pause(tmp_path), list[bool]()
    pause.watch(lambda: heard.append(pause.on))
    pause.hold("home")
    pause.hold("home")
    pause.release("home")
    assert heard == [True, False]


def test_a_paused_runner_begins_nothing(tmp_path: Path) -> None:
    pause, said = Pause(tmp_path), list[str]()
    pause.hold("home")
    with pytest.raises(PausedError, match=r"the probe is paused \(colibri resume\)"):
        asyncio.run(PausableRunner(FakeRunner(), pause).run("dns_injection", {"target": "a"}, said.append))
    assert said == []
    pause.release("home")
    outcome = asyncio.run(PausableRunner(FakeRunner(), pause).run("dns_injection", {"target": "a"}, said.append))
    assert outcome.judgement.verdict == "clean"
    assert said == ["asking for a"]


def test_what_is_under_way_is_broken_off_at_once(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    ended = list[str]()

    class Sending(FakeRunner):
        async def run(
            self, measurement: str, options: Mapping[str, object], progress: Callable[[str], None]
        ) -> Outcome:
            progress("sending")
            try:
                return await super().run(measurement, options, progress)
            finally:
                ended.append("sockets closed")

    async def scene() -> None:
        runner = PausableRunner(Sending(), pause)
        running = asyncio.ensure_future(runner.run("dns_injection", {"target": "hangs"}, lambda _: None))
        await asyncio.sleep(0.01)
        pause.hold("operator")
        with pytest.raises(PausedError, match="broken off"):
            await asyncio.wait_for(running, 5)
        assert ended == ["sockets closed"]

    asyncio.run(scene())


def test_what_the_runner_raises_and_a_cancellation_pass_through(tmp_path: Path) -> None:
    runner = PausableRunner(FakeRunner(), Pause(tmp_path))

    async def scene() -> None:
        with pytest.raises(CannotMeasure, match="no route"):
            await runner.run("dns_injection", {"target": "fails"}, lambda _: None)
        running = asyncio.ensure_future(runner.run("dns_injection", {"target": "hangs"}, lambda _: None))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())


@given(steps=st.lists(st.tuples(st.booleans(), st.sampled_from(["home", "operator"])), max_size=20))
def test_the_file_always_says_what_is_in_force(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, Holder]]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    pause, expected = Pause(folder), set[str]()
    for hold, who in steps:
        (pause.hold if hold else pause.release)(who)
        expected = expected | {who} if hold else expected - {who}
        assert set(pause.holders) == expected == set(Pause(folder).holders)
        assert (folder / PAUSED).exists() == bool(expected)
    if expected:
        assert msgspec.json.decode((folder / PAUSED).read_bytes()) == pause.holders


def test_a_file_made_by_hand_while_it_runs_is_a_pause_until_it_is_gone(tmp_path: Path) -> None:
    pause, heard = Pause(tmp_path, wall=lambda: 0.0), list[bool]()
    pause.watch(lambda: heard.append(pause.on))
    (tmp_path / PAUSED).touch()
    assert pause.on
    assert pause.holders == {"home": "1970-01-01T00:00:00.000Z"}
    (tmp_path / PAUSED).write_text('{"operator": "1970-01-01T00:00:00.000Z"}')
    assert list(pause.holders) == ["operator"]
    (tmp_path / PAUSED).unlink()
    assert pause.holders == {}
    assert heard == [True, True, False]


def test_a_pause_that_another_process_writes_is_seen_and_can_be_taken_back(tmp_path: Path) -> None:
    pause, other = Pause(tmp_path), Pause(tmp_path)
    other.hold("operator")
    pause.hold("home")
    assert set(pause.holders) == set(other.holders) == {"home", "operator"}
    pause.release("home")
    assert list(other.holders) == ["operator"]


def test_a_pause_that_cannot_be_written_down_is_in_force(tmp_path: Path) -> None:
    pause = Pause(tmp_path / "file/in/the/way")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        pause.hold("home")
    assert pause.on
    assert list(pause.holders) == ["home"]


def test_a_file_made_by_hand_breaks_off_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.agent.pause.LOOK", 0.01)
    runner = PausableRunner(FakeRunner(), Pause(tmp_path))

    async def scene() -> None:
        running = asyncio.ensure_future(runner.run("dns_injection", {"target": "hangs"}, lambda _: None))
        await asyncio.sleep(0.05)
        assert not running.done()
        (tmp_path / PAUSED).touch()
        with pytest.raises(PausedError, match="broken off"):
            async with asyncio.timeout(20):
                await running

    asyncio.run(scene())
