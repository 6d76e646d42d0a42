"""Heartbeats that wait: dated, bounded, on the card when they have waited for long, and gone when they are stored."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from probe.agent import waiting
from probe.agent.findings import instant
from probe.agent.waiting import Waiting
from probe.model.finding import Signature
from probe.model.heartbeat import Heartbeat

START = 1_795_314_694.0


class Scene:
    """A place with a clock that a test turns; ``power_cut`` leaves only the card."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now, self.right, self.made, self.signed = folder / "beats.jsonl", 0.0, True, 0, 0
        self.boot()

    def boot(self) -> None:
        self.place = Waiting(
            self.path, self._sign, wall=lambda: START + self.now if self.right else self.now, clock=lambda: self.now,
            synchronised=lambda: self.right,
        )  # fmt: skip

    def _sign(self, one: Heartbeat) -> Heartbeat:
        self.signed += 1
        return msgspec.structs.replace(one, signature=Signature("key", f"{self.signed}"))

    def beat(self) -> str:
        one = Heartbeat(
            id=f"01a2011d-ad0e-7954-82f7-{self.made:012x}", probe="p-one", software="x", run="0" * 16,
            sequence=self.made, at=instant(START + self.now if self.right else self.now),
            clock="synchronised" if self.right else "unsynchronised", uptime_s=int(self.now), measured=0, failed=0,
            spool_depth=0, link="down", connected=False,
        )  # fmt: skip
        self.made += 1
        self.place.add(one, self.now)
        return one.id

    def live(self, beats: int, every: float = 300.0) -> list[str]:
        made = []
        for _ in range(beats):
            made.append(self.beat())
            self.now += every
        return made

    def next(self, limit: int = 9999) -> list[Heartbeat]:
        return [msgspec.json.decode(body, type=Heartbeat) for _, body in self.place.next(limit, [])]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_oldest_come_first_signed_once_and_not_twice_at_a_time(scene: Scene) -> None:
    made = scene.live(4)
    assert [name for name, _ in scene.place.next(2, made[:1])] == made[1:3]
    assert [one.id for one in scene.next()] == made
    assert scene.next() == scene.next()
    assert scene.signed == 4


def test_what_is_stored_is_gone_and_within_the_hour_nothing_touches_the_card(scene: Scene) -> None:
    made = scene.live(12)
    assert scene.place.remove([*made, "another"]) == 12
    assert len(scene.place) == 0
    assert not scene.path.exists()


def test_what_waits_for_an_hour_outlives_a_power_cut(scene: Scene) -> None:
    made = scene.live(26)  # two hours and a bit
    scene.boot()
    kept = [one.id for one in scene.next()]
    assert kept == made[: len(kept)]
    assert len(kept) >= 13
    assert scene.path.read_bytes().count(b"\n") == len(kept), "each is written once"
    assert scene.place.remove(kept) == len(kept)
    assert not scene.path.exists()


def test_the_end_of_the_daemon_keeps_all(scene: Scene) -> None:
    made = scene.live(3)
    scene.place.save()
    scene.boot()
    assert [one.id for one in scene.next()] == made


def test_a_wrong_date_is_mended_once_the_clock_is_right(scene: Scene) -> None:
    scene.right = False
    made = scene.live(4)
    assert [one.id for one in scene.next()] == made[-1:], "only what has just been made goes out undated"
    assert scene.next()[0].clock == "unsynchronised"
    scene.right = True
    mended = scene.next()
    assert [one.id for one in mended] == made
    assert [one.at for one in mended] == [instant(START + turn * 300.0) for turn in range(4)]
    assert {one.clock for one in mended} == {"synchronised"}


def test_what_no_clock_dated_is_not_kept_over_a_restart(scene: Scene) -> None:
    scene.right = False
    scene.live(3)
    scene.place.save()
    assert not scene.path.exists()


def test_a_long_cut_is_told_more_coarsely_and_within_bounds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST", 40)
    made = scene.live(1000)
    left = [one.sequence for one in scene.next()]
    assert len(left) <= 40
    assert left[-1] == len(made) - 1
    assert max(b - a for a, b in pairwise(left)) <= 1000 / 4, "the old hours are not forgotten"
    assert scene.path.stat().st_size < 3 * 40 * 450
    scene.boot()
    assert {one.sequence for one in scene.next()} <= set(left)


@pytest.mark.parametrize("spoilt", [b"", b"{", b"\xff\xfe\n\n[]", b'{"schema": "colibri.finding/1"}'])
def test_a_spoilt_file_costs_what_is_spoilt(scene: Scene, spoilt: bytes) -> None:
    made = scene.live(2)
    scene.place.save()
    with scene.path.open("ab") as file:
        file.write(b"\n" + spoilt)
    scene.boot()
    made += scene.live(1)
    scene.place.save()
    scene.boot()
    assert [one.id for one in scene.next()] == made


def test_a_card_that_can_not_be_written_costs_nothing_else(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene.path.mkdir()
    made = scene.live(20)
    assert "can't be written down" in caplog.text
    assert [one.id for one in scene.next()] == made
    assert scene.place.next(0, []) == []
    assert scene.place.remove(made) == 20
    assert "sent again after a restart" in caplog.text
