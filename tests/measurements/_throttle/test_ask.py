"""What transfers are ordered, and how what came of them is read."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from probe.measurements import Context
from probe.measurements._far import Far
from probe.measurements._throttle.ask import SECONDS, Asking, Kind, Moved
from probe.model.exchange import Exchange, Sample, TransferStep
from probe.model.reflector import Direction, Grant
from probe.wire import http, reflector, tls

TOKEN = bytes(range(12))
FAR = Far("203.0.113.190", Grant(token=TOKEN.hex()))


def asking(trigger: Any = "tls") -> Asking:
    names = {"name": "banned.example", "harmless": "good.example"}
    return Asking(FAR, Context(Random(1)), **names, trigger=trigger, port=443, kilobytes=150)


def order(one: Asking, kind: Kind, direction: Direction = "down", ttl: int = 0) -> TransferStep:
    """The step of a transfer."""
    (step,) = next(one.move(kind, direction, ttl))
    assert isinstance(step, TransferStep)
    return step


def came(step: TransferStep, *samples: Sample, sent_at: float | None = 0.1) -> Moved:
    """What is made of an exchange."""
    moving = asking().move("name", "up" if step.upload else "down")
    next(moving)
    with pytest.raises(StopIteration) as stop:
        moving.send([Exchange(step=step, samples=samples, sent_at=sent_at)])
    found: Moved = stop.value.value
    return found


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_hello_bears_the_name_and_the_order(direction: Direction) -> None:
    step = order(asking(), "name", direction)
    assert tls.server_name(step.payload) == "banned.example"
    ordered = reflector.order(step.payload)
    assert ordered is not None
    token, wanted = ordered
    assert token[:2] + token[4:] == TOKEN[:2] + TOKEN[4:]
    assert (wanted.direction, wanted.kilobytes >= 150, wanted.seconds > SECONDS) == (direction, True, True)
    assert (step.limit, step.upload) == (150_000, 150_000 if direction == "up" else 0)


def test_its_twin_bears_nothing_that_anybody_knows() -> None:
    step = order(asking(), "twin")
    assert tls.server_name(step.payload) is None
    assert b"banned" not in step.payload
    assert tls.server_name(reflector.twin(step.payload)) == "banned.example"


def test_the_harmless_one_bears_another_name_and_no_two_are_alike() -> None:
    one = asking()
    assert tls.server_name(order(one, "harmless").payload) == "good.example"
    assert len({order(one, "twin").payload for _ in range(20)}) == 20


def test_a_decoy_bears_the_name_and_what_follows_does_not() -> None:
    step = order(asking(), "decoy", ttl=4)
    assert (tls.server_name(step.decoy), step.decoy_ttl) == ("banned.example", 4)
    assert tls.server_name(step.payload) is None
    assert len(step.decoy) <= 1200  # it must fit into one packet


def test_http_asks_for_the_name() -> None:
    step = order(asking("http"), "name")
    assert http.host(step.payload) == "banned.example"


def test_what_was_cut_off_has_no_rate() -> None:
    step = order(asking(), "name")
    full = came(step, Sample(0.1, 9, 50_000), Sample(0.2, 9, 100_000), Sample(0.3, 9, 150_000))
    assert full.speed == pytest.approx(500_000)
    assert (full.bytes, full.seconds) == (150_000, 0.3)
    crawling = came(step, *(Sample(n / 10, 9, n * 100) for n in range(1, 31)))
    assert crawling.speed == pytest.approx(1000)
    for cut in (came(step, Sample(0.2, 9, 9000)), came(step, Sample(3.0, 9, 0)), came(step), came(step, sent_at=None)):
        assert cut.speed is None


def test_the_token_is_renewed_in_time() -> None:
    one = asking()
    kinds = []
    for _ in range(41):
        moving = one.move("name", "down")
        (step,) = next(moving)
        kinds.append(type(step).__name__)
        moving.close()
    assert kinds.count("UdpStep") == 1
