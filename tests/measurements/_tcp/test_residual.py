from __future__ import annotations

from random import Random

import pytest

from probe.measurements._tcp.probe import Plan
from probe.measurements._tcp.residual import Memory, remember
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import Trigger
from probe.model.exchange import PauseStep, Step, TcpStep
from tests.measurements.simboxes import Dropper, Resetter
from tests.measurements.simnet import Box, Internet, drive
from tests.measurements.worlds import BANNED, SERVER, net

PLAN = Plan(Trigger("http", "banned.example", 80), SERVER, "good.example", "", 3, locate=False)


def run(*boxes: Box, seed: int = 1) -> tuple[Memory, list[list[Step]]]:
    batches: list[list[Step]] = []
    part = remember(PLAN, Seen(PLAN.trigger, SERVER, PLAN.twin, ""), Random(seed))
    return drive(part, Internet(net(boxes=boxes), seed), batches), batches


def ends_about_30(found: tuple[float, float | None]) -> bool:
    since, until = found
    return until is not None and since <= 31 and until >= 29


@pytest.mark.parametrize("box", [Dropper, Resetter])
def test_how_long_and_what(box: type[Dropper | Resetter]) -> None:
    three, _ = run(box(at=4, names=BANNED, residual=30, size=3))
    assert three.remembers == "3-tuple"
    assert ends_about_30(three.other)
    four, _ = run(box(at=4, names=BANNED, residual=30, size=4))
    assert four.remembers == "4-tuple"
    assert four.other[1] == 0
    assert ends_about_30(four.same)
    nothing, batches = run(box(at=4, names=BANNED))
    assert nothing.remembers == "nothing"
    assert not any(isinstance(step, PauseStep) and step.seconds > 5 for batch in batches for step in batch)


def test_no_longer_than_three_minutes() -> None:
    memory, batches = run(Dropper(at=4, names=BANNED, residual=9999, size=3))
    assert memory.other[1] is None
    assert "three minutes or longer" in memory.reason()
    steps = [step for batch in batches for step in batch]
    assert sum(step.seconds for step in steps if isinstance(step, PauseStep)) <= 180
    assert sum(b"banned.example" in step.payload for step in steps if isinstance(step, TcpStep)) == 1


def test_words() -> None:
    assert Memory((60.0, 90.0), (0.0, 0.0), told=True).reason() == (
        "After a trigger the box blocks connections from the same port, while those from other ports work, for 60 to "
        "90 s."
    )
    assert "every connection to this port of the server, for 0 to 2 s" in Memory((0, 2), (0.0, 2.0), True).reason()
    assert Memory((0.0, 0.0), (0.0, 0.0), told=True).remembers == "nothing"
    assert Memory((0.0, 2.0), (0.0, 0.0), told=False).remembers == "unknown"
    assert "can't be told" in Memory((180.0, None), (0.0, 0.0), told=False).reason()
    assert Memory((180.0, None), (0.0, 0.0), told=True).show() == {
        "remembers": "4-tuple", "same_connection_s": [180.0, None], "other_connections_s": [0.0, 0.0],
    }  # fmt: skip
