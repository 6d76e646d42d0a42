"""Throttled names on simulated lines, and innocent lines that look throttled."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from probe.measurements import load, parse_options
from probe.model.errors import UsageError
from probe.model.finding import Judgement
from tests.measurements.simboxes import Resetter, Throttler
from tests.measurements.simclients import Client
from tests.measurements.simfar import FAR, Far
from tests.measurements.simnet import Internet, Network, measure
from tests.measurements.worlds import BANNED, claimed, link

Traffic = Any


def line(version: int = 4, far: Any = None, **what: Any) -> Network:
    return Network(version=version, hosts={FAR[version]: far or Far()}, **what)


def ask(network: Network, seed: int = 1, **options: object) -> Judgement:
    given: dict[str, object] = {
        "target": "banned.example", "reflector": FAR[network.version], "control_name": "good.example",
    }  # fmt: skip
    return measure("throttling", network, seed, **(given | options))


def slow(at: int = 4, speed: float = 16_000, **what: Any) -> Throttler:
    return Throttler(at=at, names=BANNED, speed=speed, **what)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("trigger", ["tls", "http"])
@pytest.mark.parametrize(("at", "ways"), [(3, (False, True)), (5, (False,)), (6, (True,))])
def test_a_throttled_name_is_found_with_its_rate_and_its_place(
    version: int, trigger: str, at: int, ways: tuple[bool, ...]
) -> None:
    network = line(version, boxes=(slow(at, ways=ways),))
    judgement = ask(network, trigger=trigger)
    assert claimed(judgement) == ("interfered", "name")
    assert judgement.interference is not None
    assert judgement.interference.technique == "throttling"
    assert link(judgement) == (at - 1, at)
    assert judgement.details["plateau"]["kbit_s"] == pytest.approx(128, rel=0.15)
    assert judgement.details["plateau"]["even"]
    assert judgement.details["bytes"] <= 6_000_000
    assert judgement.confidence > 0.8
    assert {"down": False, "up": True}["up" if "up" in judgement.details else "down"] in ways


def test_all_of_a_protocol_is_told_from_a_name() -> None:
    judgement = ask(line(boxes=(Throttler(at=4, names=("",), speed=16_000),)))
    assert claimed(judgement) == ("interfered", "protocol")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("speed", [8_000, 60_000])
def test_it_is_found_on_bad_lines(seed: int, speed: float) -> None:
    crowd = lambda random, _now: 0.6 + 0.4 * random.random()  # noqa: E731
    network = line(
        boxes=(slow(speed=speed),), loss=0.03, jitter=0.01, reorder=0.02, line=400_000.0, traffic=crowd
    )  # fmt: skip
    judgement = ask(network, seed)
    assert claimed(judgement) == ("interfered", "name")
    assert link(judgement) == (3, 4)


@dataclass(frozen=True)
class Spells:
    """Others on the line take most of it in spells."""

    share: float
    length: float
    seed: int

    def __call__(self, _random: Random, now: float) -> float:
        return self.share if Random(int(now / self.length) * 7919 + self.seed).random() < 0.5 else 1.0


class Shaper(Throttler):
    """Slows every connection to a port, whatever it says."""

    def rate(self, net: Internet, flow: Client, upload: bool, memory: dict[Any, Any]) -> float:  # noqa: ARG002
        return self.speed


INNOCENT: dict[str, dict[str, Any]] = {
    "a slow line": {"line": 20_000.0},
    "a fast line": {"line": 50_000_000.0},
    "a slow server": {"far": Far(speed=10_000)},
    "all connections slowed": {"boxes": (Shaper(at=4, names=(), speed=16_000),)},
    "others at short spells": {"traffic": Spells(0.1, 0.4, 1)},
    "others at long spells": {"traffic": Spells(0.05, 5.0, 2)},
    "others by chance": {"traffic": lambda random, _now: random.random() ** 2},
    "loss": {"loss": 0.05, "jitter": 0.02, "reorder": 0.05},
    "a long way": {"delay": 0.03},
}


@pytest.mark.parametrize("what", INNOCENT)
@pytest.mark.parametrize("seeds", [range(15), pytest.param(range(15, 60), marks=pytest.mark.long)])
def test_innocent_lines_are_never_accused(what: str, seeds: range) -> None:
    for seed in seeds:
        judgement = ask(line(**INNOCENT[what]), seed)
        assert judgement.verdict in ("clean", "inconclusive"), (seed, judgement)


def test_a_quiet_line_is_clean() -> None:
    for what in ("a slow line", "a fast line", "a slow server", "all connections slowed", "a long way"):
        assert claimed(ask(line(**INNOCENT[what]))) == ("clean", "alike")


def test_what_happens_at_home_or_at_the_far_end_is_no_accusation() -> None:
    assert claimed(ask(line(boxes=(slow(1),)))) == ("inconclusive", "at-home")
    assert claimed(ask(line(boxes=(slow(2),)))) == ("inconclusive", "at-home")
    assert claimed(ask(line(boxes=(slow(9),)))) == ("inconclusive", "not-placed")
    assert claimed(ask(line(boxes=(slow(8),)))) == ("inconclusive", "not-placed")


def test_little_slower_is_not_throttled() -> None:
    judgement = ask(line(line=100_000.0, boxes=(slow(speed=60_000),)))
    assert claimed(judgement) == ("inconclusive", "slightly-slower")


def test_cut_off_is_another_thing() -> None:
    judgement = ask(line(boxes=(Resetter(at=4, names=BANNED, in_path=True),)))
    assert claimed(judgement) == ("inconclusive", "cut-off")


def test_without_a_far_end_nothing_is_said() -> None:
    assert claimed(ask(line(far=Far(mute=True)))) == ("inconclusive", "no-far-end")
    assert claimed(ask(line(far=Far(port="closed")))) == ("inconclusive", "no-transfer")


def test_what_knows_no_name_may_be_slower() -> None:
    class Unknown(Throttler):
        def act(self, passing: Any) -> bool:
            payload = passing.packet.payload
            if payload and payload[0] >= 0x80:
                passing.memory["slow", passing.flow.port] = True
            return False

    judgement = ask(line(boxes=(Unknown(at=4, names=(), speed=16_000),)))
    assert claimed(judgement) == ("inconclusive", "unknown-slower")


def test_it_may_end_meanwhile() -> None:
    class Ends(Throttler):
        def rate(self, net: Internet, flow: Client, upload: bool, memory: dict[Any, Any]) -> float:
            return super().rate(net, flow, upload, memory) if net.now < 40 else float("inf")

    rules = {ask(line(boxes=(Ends(at=4, names=BANNED, speed=16_000),)), seed).verdict for seed in range(5)}
    assert rules == {"inconclusive"}


@pytest.mark.parametrize(
    "options", [{"reflector": ""}, {"target": "a b"}, {"target": "ftp://x/"}, {"target": "https://"}]
)
def test_wrong_usage_is_told(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ask(line(), 1, **options)


def test_a_url_says_what_bears_the_name() -> None:
    parsed = parse_options(load("throttling"), {"target": "http://banned.example/x"})
    assert parsed.trigger == ""
    judgement = ask(line(boxes=(slow(),)), target="http://banned.example/x")
    assert judgement.target.port == 80
    assert claimed(judgement) == ("interfered", "name")
