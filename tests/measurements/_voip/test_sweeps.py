"""`voip` attacked: networks drawn at random, in which the home or the far end's own network stops calls, or nobody."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.measurements.simcalls import Alg, Filter, calls_net
from tests.measurements.simfar import FAR
from tests.measurements.simnet import measure


def drawn(random: Random) -> dict[str, Any]:
    """A line: its length, its home, its losses, its routers' manners."""
    return {
        "hops": random.choice([7, 9, 12]), "back": random.choice([-1, 0, 0, 1]), "home": random.choice([1, 1, 2]),
        "loss": random.choice([0, random.uniform(0, 0.05)]), "jitter": random.choice([0, 0.01]),
        "reorder": random.choice([0, 0.02]), "uneven": random.choice([0, 0, 1, 2]),
        "silent": frozenset(hop for hop in range(2, 12) if random.random() < random.choice([0, 0.3])),
        "limited": frozenset(hop for hop in range(1, 12) if random.random() < random.choice([0, 0.5])),
        "burst": random.choice([3, 6]), "short_quotes": random.random() < 0.2,
    }  # fmt: skip


def box(random: Random, at: int) -> Any:
    """Something that stops or rewrites calls."""
    return random.choice([
        Alg(at=at), Filter(at=at, match=("sip",)), Filter(at=at, match=("stun",)), Filter(at=at, match=("rtp",)),
        Filter(at=at, match=("rtp",), seconds=random.uniform(0.5, 6)), Filter(at=at, match=("sip",), share=0.7),
        Filter(at=at, ports=(5060,)), Filter(at=at, ports=(5060,), refuses=True), Filter(at=at),
        Filter(at=at, match=("sip",), udp=False, tcp=True), Filter(at=at, match=("rtp",), loses=0.4),
    ])  # fmt: skip


def innocent(seed: int) -> None:
    random = Random(seed)
    line = drawn(random)
    where = random.choice(["nobody", "home", "far", "far"])
    at = random.randint(1, line["home"]) if where == "home" else line["hops"] - random.choice([0, 1])
    boxes = () if where == "nobody" else (box(random, at),)
    judgement = measure("voip", calls_net(boxes=boxes, **line), seed, target=FAR[4], reflector=FAR[4])
    assert judgement.verdict != "interfered", (seed, where, boxes, line, judgement.reasons)


@pytest.mark.parametrize("seed", range(8))
def test_home_and_far_end_are_never_accused(seed: int) -> None:
    innocent(seed)


@pytest.mark.long
def test_home_and_far_end_are_never_accused_at_length() -> None:
    for seed in range(8, 400):
        innocent(seed)
