"""Random innocent networks: filters of the home and the far end's site, odd routers, bad lines; nobody is accused."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tests.measurements.simfar import FAR
from tests.measurements.simnet import Network
from tests.measurements.simudp import QuicServer, UdpFilter
from tests.measurements.test_udp_trigger import ask, net
from tests.measurements.worlds import KNOWN, SERVER

CONTENTS = ("banned.example", "sip", "stun")


def innocent(random: Random) -> tuple[Network, dict[str, Any]]:
    """A network without an operator's filter, and how it is asked."""
    draw = random.choice
    share: dict[str, Any] = {"probability": draw((1.0, 0.9, 0.7, 0.5, 0.3))}
    hops, home = random.randrange(6, 16), draw((1, 1, 1, 2))
    kept: dict[str, Any] = {
        "contents": CONTENTS, "residual": draw((0.0, 0.0, 2.0, 8.0)), "size": draw((3, 4)),
        "does": draw(("drop", "drop", "reject", "answer")), "in_path": True,
    }  # fmt: skip
    boxes = draw((
        (),
        (UdpFilter(at=random.randrange(1, home + 1), **share, **kept),),
        (UdpFilter(at=random.randrange(1, home + 1), forwards=True, **share, **kept),),
        (UdpFilter(at=hops, only=FAR[4], **kept),),
        (UdpFilter(at=hops - 1, only=FAR[4], **kept),),
    ))  # fmt: skip
    some = [frozenset(hop for hop in range(1, hops) if random.random() < draw((0, 0.1, 0.5, 1))) for _ in range(2)]
    # That the reflector's own site filters nothing is taken for granted where a server of its own mind fails as well.
    trusted = not any(box.only for box in boxes)
    network = net(
        *boxes, server=QuicServer(names=draw(((), KNOWN)) if trusted else ()), hops=hops, home=home,
        silent=some[0], limited=some[1],
        limit=draw((0.2, 1.0)), burst=draw((1, 2, 5)), loss=draw((0, 0.02, 0.05, 0.1, 0.2, 0.35)),
        lossy_link=random.randrange(1, hops + 1), jitter=draw((0, 0.005, 0.05)), reorder=draw((0, 0.05)),
        duplicate=draw((0, 0.05)), back=draw((0, 0, -3, -1, 2, 5)), uneven=draw((0, 0, 1, 2, 4)),
        divides=random.randrange(home, hops), short_quotes=random.random() < 0.2, delay=draw((0.001, 0.005)),
    )  # fmt: skip
    options: dict[str, Any] = {"trigger": draw(("quic", "quic", "sip", "stun")), "locate": random.random() < 0.5}
    if options["trigger"] == "quic" and random.random() < 0.5:
        options["address"] = SERVER
    return network, options


def accused(seeds: Sequence[int]) -> list[tuple[int, str]]:
    found = []
    for seed in seeds:
        network, options = innocent(Random(seed))
        judgement = ask(network, seed, **options)
        if judgement.verdict == "interfered":
            found.append((seed, judgement.rule))
    return found


def test_no_innocent_network_is_accused() -> None:
    assert not accused(range(25))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nor_any_of_three_thousand() -> None:
    assert not accused([*range(60), *range(1000, 4000)])
