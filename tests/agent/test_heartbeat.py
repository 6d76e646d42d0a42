"""What a heartbeat says of the daemon, and that one is made at once and then in its time."""

from __future__ import annotations

import asyncio

from probe.agent.heartbeat import EVERY, Pulse, Vitals
from probe.model.heartbeat import Heartbeat
from tests.agent.conftest import until


class Scene:
    """A daemon as a test says it is."""

    def __init__(self, every: float = EVERY) -> None:
        self.made: list[tuple[Heartbeat, float]] = []
        self.vitals = Vitals(measured=0, failed=0, spool_depth=0, link="unknown", connected=False)
        self.wall, self.clock, self.right = 1_795_314_694.0, 1000.0, False
        chance = iter(bytes([n]) for n in range(1, 200))
        self.pulse = Pulse(
            "p-one", "colibri test", lambda: self.vitals, lambda one, made: self.made.append((one, made)), every=every,
            wall=lambda: self.wall, clock=lambda: self.clock, synchronised=lambda: self.right,
            entropy=lambda n: next(chance) * n,
        )  # fmt: skip


def test_it_counts_since_the_one_before_and_numbers_them() -> None:
    scene = Scene()
    scene.pulse.beat()
    scene.wall, scene.clock, scene.right = scene.wall + 300.25, scene.clock + 300.25, True
    scene.vitals = Vitals(measured=5, failed=1, spool_depth=4, link="up", connected=True)
    scene.pulse.beat()
    scene.pulse.beat()
    (first, _), (second, made), (third, _) = scene.made
    assert (first.sequence, first.clock, first.link, first.measured) == (0, "unsynchronised", "unknown", 0)
    assert (second.sequence, second.clock, second.link, second.connected) == (1, "synchronised", "up", True)
    assert (second.measured, second.failed, second.spool_depth) == (5, 1, 4)
    assert (second.uptime_s, made, second.at) == (300, 1300.25, "2026-11-22T02:36:34.250Z")
    assert (third.sequence, third.measured, third.failed) == (2, 0, 0)
    assert first.run == second.run
    assert len({first.id, second.id, third.id}) == 3
    assert second.signature is None


def test_every_start_is_another_run() -> None:
    one, other = Scene(), Scene()
    other.pulse = Pulse("p-one", "x", lambda: other.vitals, lambda b, m: other.made.append((b, m)))
    one.pulse.beat()
    other.pulse.beat()
    assert one.made[0][0].run != other.made[0][0].run


def test_one_at_once_and_then_in_its_time() -> None:
    scene = Scene(every=0.001)

    async def live() -> None:
        task = asyncio.create_task(scene.pulse.run())
        await until(lambda: len(scene.made) >= 3)
        task.cancel()

    asyncio.run(live())
    assert [one.sequence for one, _ in scene.made[:3]] == [0, 1, 2]
