"""What is remembered over a restart, and how seldom it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.agent.memory import SAVE_EVERY, Memory


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_runs_outlive_the_process(tmp_path: Path, clock: Clock) -> None:
    first = Memory(tmp_path / "m", clock, clock)
    assert first.ages() == {}
    first.ran("a")
    first.save()
    clock.now += 100
    again = Memory(tmp_path / "m", clock, clock)
    assert again.ages() == {"a": 100.0}


def test_it_writes_at_most_once_a_minute(tmp_path: Path, clock: Clock) -> None:
    memory = Memory(tmp_path / "m", clock, clock)
    memory.ran("a")
    assert not (tmp_path / "m").exists()
    clock.now += SAVE_EVERY
    memory.ran("b")
    assert Memory(tmp_path / "m", clock, clock).ages().keys() == {"a", "b"}


def test_a_clock_set_back_gives_an_age_below_zero(tmp_path: Path, clock: Clock) -> None:
    memory = Memory(tmp_path / "m", clock, clock)
    memory.ran("a")
    clock.now = 0.0
    assert memory.ages() == {"a": -1000.0}


@pytest.mark.parametrize("damage", [b"", b"{", b'{"runs": 3}', b"\xff"])
def test_a_damaged_file_is_forgotten_with_a_word(
    tmp_path: Path, clock: Clock, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "m").write_bytes(damage)
    memory = Memory(tmp_path / "m", clock, clock)
    assert memory.ages() == {}
    assert "begun anew" in caplog.text
    memory.save()
    assert Memory(tmp_path / "m", clock, clock).ages() == {}


def test_it_does_not_grow_for_ever(tmp_path: Path, clock: Clock) -> None:
    memory = Memory(tmp_path / "m", clock, clock)
    memory.ran("first")
    for n in range(10_000):
        memory.ran(f"k{n}")
    assert len(memory.ages()) == 10_000
    assert "first" not in memory.ages()
