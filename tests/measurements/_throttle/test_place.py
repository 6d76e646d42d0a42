"""Where decoys begin to act: halving, agreement, what is the home's and what the far end's."""

from __future__ import annotations

from random import Random

import pytest

from probe.measurements import Context, Part, _far
from probe.measurements._throttle.ask import Asking
from probe.measurements._throttle.place import locate
from probe.measurements._throttle.verdict import Compared, Located
from tests.measurements.simboxes import Throttler
from tests.measurements.simfar import FAR, Far
from tests.measurements.simnet import Internet, Network, drive
from tests.measurements.worlds import BANNED

COMPARED = Compared("down", [16_000.0] * 7, [900_000.0] * 7, 3)


def placed(network: Network, seed: int = 1) -> tuple[Located, Asking]:
    """What the decoys show on a network."""
    context, internet = Context(Random(seed)), Internet(network, seed)
    found: list[Asking] = []

    def both() -> Part[Located]:
        far = yield from _far.hello(FAR[4], context)
        assert far is not None
        found.append(Asking(far, context, name="banned.example", harmless="good.example", trigger="tls", port=443,
                            kilobytes=150))  # fmt: skip
        return (yield from locate(found[0], COMPARED, FAR[4], 443, context))

    return drive(both(), internet), found[0]


def line(at: int, **what: object) -> Network:
    box = Throttler(at=at, names=BANNED, speed=16_000)
    return Network(hosts={FAR[4]: Far()}, boxes=(box,) if at else (), **what)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_link_is_found(at: int, loss: float) -> None:
    located, asking = placed(line(at, loss=loss))
    assert located.place is not None
    assert (located.place.clean_ttl, located.place.first_ttl) == (at - 1, at)
    assert located.place.clean_hop == f"198.51.0.{at - 1}" if at > 3 else True
    assert (located.home, located.ahead, located.arrives) == (False, True, 9)
    for ttl in (at - 1, at):
        assert sum(one.ttl == ttl for one in asking.all) >= 3


@pytest.mark.parametrize("at", [1, 2])
def test_what_may_be_the_homes_is_said_to_be(at: int) -> None:
    located, _ = placed(line(at))
    assert located.place is not None
    assert located.home


@pytest.mark.parametrize("at", [0, 8, 9])
def test_where_no_decoy_acts_there_is_no_place(at: int) -> None:
    located, asking = placed(line(at))
    assert located.place is None
    assert len(asking.all) <= 5


def test_a_far_end_next_door_leaves_no_room() -> None:
    located, asking = placed(line(1, hops=3))
    assert located.place is None
    assert asking.all == []


def test_one_that_strikes_at_random_is_not_placed_wrongly() -> None:
    for seed in range(30):
        box = Throttler(at=4, names=BANNED, speed=16_000, probability=0.5)
        located, _ = placed(Network(hosts={FAR[4]: Far()}, boxes=(box,)), seed)
        assert located.place is None or located.place.first_ttl >= 4
