"""Recordings for a story's week without raising a lab: evidence that the suite keeps, of the same interference."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import msgspec

from probe.engine.record import unseal
from probe.engine.replay import replay
from probe.lab.stories import HOUR, Story, Task
from probe.lab.week import Key, Recording, Tell
from probe.model.finding import Evidence, Line, Target
from tests.collector.conftest import FakeProbe

GOLDEN = Path(__file__).parents[1] / "measurements/golden"
PROBE = FakeProbe("golden", Line())


def seldom(story: Story) -> Story:
    """The story, measured every twelve hours: a third of the work."""
    return msgspec.structs.replace(story, every=12 * HOUR)


def golden(name: str, task: Task) -> Recording:
    """A recording of the lab, as if it were of a task's target."""
    data = gzip.decompress((GOLDEN / f"{name}.pcapng.gz").read_bytes())
    again = replay(data)
    judged = again.judgement
    finding = PROBE.finding(
        judged.verdict, measurement=again.log.measurement, version=again.version, rule=judged.rule,
        target=Target(task.target, "", task.target), interference=judged.interference, trials=judged.trials,
        controls=judged.controls, confidence=judged.confidence, reasons=judged.reasons, details=judged.details,
        evidence=Evidence(1, hashlib.sha256(data).hexdigest(), sum(map(len, unseal(data)[1].batches))),
    )  # fmt: skip
    return Recording(finding, data)


def clean(task: Task) -> Recording:
    """One that found nothing; its packets are never sent, so any will do."""
    finding = PROBE.finding(
        "clean", measurement=task.measurement, interference=None, target=Target(task.target, "", task.target)
    )
    return Recording(finding, gzip.decompress((GOLDEN / "dns_injection.pcapng.gz").read_bytes()))


def recordings(story: Story, tell: Tell) -> dict[Key, Recording]:
    """What `week.record` would bring home."""
    name = {"blackhole": "ip_blackhole", "voip": "voip_media"}
    found = {}
    for home in story.homes:
        for number in range(home.homes):
            for place, task in enumerate(story.tasks):
                found[Key(home.operator, number, place, False)] = clean(task)
                if task.hit and home.cut is not None:
                    found[Key(home.operator, number, place, True)] = golden(name[task.measurement], task)
    tell(f"{len(found)} recordings")
    return found
