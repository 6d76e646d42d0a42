"""Where the one sits who answers: the resolver, the routers before it, and the path beyond."""

from __future__ import annotations

import contextlib
from random import Random

import pytest

from probe.measurements._dns.queries import Asker
from probe.measurements._resolver.seen import Seen, Who
from probe.measurements._resolver.where import sweep
from probe.wire import dns
from tests.measurements.simnet import Internet, Network
from tests.measurements.simresolvers import Knows

OWN, PUBLIC = "198.18.30.53", "203.0.113.153"


@pytest.mark.parametrize(("who", "address", "hops"), [("resolver", OWN, 5), ("control", PUBLIC, 7)])
def test_a_sweep_finds_the_resolver_and_the_path_before_it(who: Who, address: str, hops: int) -> None:
    seen = Seen("press.example", OWN, PUBLIC, "", "good.example")
    net = Internet(Network(hosts={OWN: Knows(hops=5), PUBLIC: Knows(hops=7)}), 1)
    part = sweep(seen, who, address, Asker(Random(1), 53, dns.A), dns.A, 3)
    batch = next(part)
    with contextlib.suppress(StopIteration):
        while True:
            batch = part.send(net.perform(batch))
    swept = seen.sweeps[who]
    assert swept.address == address
    assert (swept.answers, swept.arrives) == (hops, hops)
    assert set(swept.routers) >= set(range(1, hops))
